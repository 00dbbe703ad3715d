// Lists. Order of the columns: drag a column, or move it with the arrow keys. Without this script, numbers do.
const orderColumns = () => {
  const list = document.querySelector("[data-order]:not([data-ready])");
  if (!list) return;
  list.dataset.ready = "";

  const number = () => [...list.children].forEach((item, index) => { item.querySelector("[type=number]").value = index + 1; });
  const move = (item, target, isBefore) => { target.insertAdjacentElement(isBefore ? "beforebegin" : "afterend", item); number(); };

  for (const item of list.children) {
    const handle = item.querySelector("button");
    item.querySelector("[type=number]").hidden = true;
    handle.hidden = false;
    handle.addEventListener("keydown", (event) => {
      const isUp = event.key === "ArrowUp";
      const target = isUp ? item.previousElementSibling : item.nextElementSibling;
      if (!isUp && event.key !== "ArrowDown") return;
      event.preventDefault();
      if (target) move(item, target, isUp);
      handle.focus();
    });
    handle.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      handle.setPointerCapture(event.pointerId);
      item.classList.add("is-dragged");
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const middle = ({ top, height }) => top + height / 2;
      const isAbove = (other) => other && event.clientY < middle(other.getBoundingClientRect());
      const isBelow = (other) => other && event.clientY > middle(other.getBoundingClientRect());
      if (isAbove(item.previousElementSibling)) move(item, item.previousElementSibling, true);
      else if (isBelow(item.nextElementSibling)) move(item, item.nextElementSibling, false);
      if (!handle.hasPointerCapture(event.pointerId)) handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("lostpointercapture", () => item.classList.remove("is-dragged"));
  }
};

// The page scrolls a list that fits. A wider one scrolls in its container, so that its head stays visible.
const fitLists = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const fits = target.firstElementChild.scrollWidth <= target.clientWidth;
    target.classList.toggle("fits", fits);
    target.classList.toggle("is-wide", !fits);
  }
});

const startLists = () => {
  orderColumns();
  for (const list of document.querySelectorAll(".listed")) fitLists.observe(list);
};
startLists();
document.addEventListener("htmx:after:swap", startLists); // the search replaces the list

// Panels above a list close by a click elsewhere and by Escape.
document.addEventListener("click", ({ target }) => {
  for (const panel of document.querySelectorAll(".list-panel[open]")) panel.open = panel.contains(target);
});
document.addEventListener("keydown", ({ key, target }) => {
  const panel = key === "Escape" && target.closest(".list-panel[open]");
  if (!panel) return;
  panel.open = false;
  panel.querySelector("summary").focus();
});
