// Drag the lines of the page that arranges the overview. Save stores the order, as after the arrows.
(() => {
  for (const part of document.querySelectorAll("[data-needs-drag]")) part.hidden = false;
  for (const zone of document.querySelectorAll("[data-zone]")) {
    let dragged = null;
    for (const line of zone.children) line.draggable = true;
    zone.addEventListener("dragstart", (event) => {
      dragged = event.target.closest("li");
      dragged.classList.add("dragged");
      event.dataTransfer.effectAllowed = "move";
    });
    zone.addEventListener("dragover", (event) => {
      const line = event.target.closest("li");
      if (!dragged || !line) return;
      event.preventDefault();
      if (line === dragged) return;
      const box = line.getBoundingClientRect();
      zone.insertBefore(dragged, event.clientY < box.top + box.height / 2 ? line : line.nextSibling);
    });
    zone.addEventListener("drop", (event) => event.preventDefault());
    zone.addEventListener("dragend", () => {
      if (!dragged) return;
      dragged.classList.remove("dragged");
      dragged = null;
      zone.closest("form").requestSubmit(document.getElementById("save"));
    });
  }
})();
