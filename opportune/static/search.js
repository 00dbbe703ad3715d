// Keys: arrows select a result, Enter opens it, "/" focuses the box, Escape focuses or clears it.
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

  // Enter opens a result of the current query, or sends the query immediately.
  const openFirst = () => {
    const shown = document.getElementById(box().form.dataset.results)?.dataset.query;
    if (document.activeElement !== box() || !shown || shown !== box().value.trim()) return false;
    if (matchMedia("(pointer: coarse)").matches) box().blur(); // hides the keyboard
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

  // Replace the URL while the user types a word, so that the back button skips single letters.
  document.addEventListener("htmx:before:history:update", ({ detail: { history, sourceElement } }) => {
    if (!sourceElement.matches(".search-box")) return;
    const before = new URLSearchParams(location.search).get("q") ?? "";
    const after = new URL(history.path, location).searchParams.get("q") ?? "";
    if (before && after && (before.startsWith(after) || after.startsWith(before))) history.type = "replace";
  });
})();
