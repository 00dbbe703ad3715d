// Order of the columns of a list: drag a column, or move it with the arrow keys. Without this script, numbers do.
const orderColumns = () => {
  const list = document.querySelector("[data-order]:not([data-ready])");
  if (!list) return;
  list.dataset.ready = "";
  const panel = list.closest("details");

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

  document.addEventListener("click", ({ target }) => { if (!panel.contains(target)) panel.open = false; });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panel.open) return;
    panel.open = false;
    panel.querySelector("summary").focus();
  });
};
orderColumns();
document.addEventListener("htmx:after:swap", orderColumns); // the search replaces the list
