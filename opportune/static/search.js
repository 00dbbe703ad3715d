// Keys: arrows walk through the results, Enter opens one, "/" goes to the box, Escape to the box and there empties it.
(() => {
  const box = () => document.querySelector(".search-box input");
  const hits = () => [...document.querySelectorAll(".search-hit")];

  const move = (step) => {
    const places = [box(), ...hits()];
    const here = places.indexOf(document.activeElement);
    if (here < 0 || !places[here + step]) return false;
    places[here + step].focus();
    return true;
  };

  const empty = () => {
    if (document.activeElement === box() && box().value) {
      box().value = "";
      box().dispatchEvent(new Event("input", { bubbles: true }));
    }
    box().focus();
    return true;
  };

  // Only what answers the typed words is opened; before it is there, Enter asks for it at once.
  const openFirst = () => {
    const shown = document.getElementById(box().form.dataset.results)?.dataset.query;
    if (document.activeElement !== box() || !shown || shown !== box().value.trim()) return false;
    if (matchMedia("(pointer: coarse)").matches) box().blur(); // puts the keyboard away
    else hits()[0]?.click();
    return true;
  };

  const toBox = () => {
    if (document.activeElement.matches("input, textarea, select, [contenteditable]")) return false;
    box().focus();
    box().select();
    return true;
  };

  const keys = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Escape: empty, Enter: openFirst, "/": toBox };

  document.addEventListener("keydown", (event) => {
    if (!box() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (Object.hasOwn(keys, event.key) && keys[event.key]()) event.preventDefault();
  });

  // While one word is being typed the address follows; going back leads to the words before it, not to each letter.
  document.addEventListener("htmx:before:history:update", ({ detail: { history, sourceElement } }) => {
    if (!sourceElement.matches(".search-box")) return;
    const before = new URLSearchParams(location.search).get("q") ?? "";
    const after = new URL(history.path, location).searchParams.get("q") ?? "";
    if (before && after && (before.startsWith(after) || after.startsWith(before))) history.type = "replace";
  });
})();
