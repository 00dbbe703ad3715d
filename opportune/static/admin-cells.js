// Cells of a list that are edited in place. The server sends the control of a cell, and the row after a change.
(() => {
  const CONTROL = "input:not([type=hidden]), select, textarea";
  let last; // the cell that was opened last, to which the focus returns

  const open = (cell) => {
    const row = cell.closest("tr");
    const opened = row.querySelector(".cell-form");
    if (opened) return opened.querySelector(CONTROL)?.focus();
    last = { pk: row.dataset.pk, name: cell.dataset.cell };
    const path = [last.name, last.pk].map(encodeURIComponent).join("/");
    const address = cell.closest("table").dataset.cells;
    htmx.ajax("GET", `${address}/${path}${location.search}`, { target: cell, swap: "innerHTML" });
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-cell]");
    const isControl = event.target.closest("a, input, select, textarea, label, .cell-form, .select2-container");
    if (cell && !isControl && getSelection().isCollapsed) open(cell);
  });
  document.addEventListener("keydown", (event) => {
    const form = event.target.closest(".cell-form");
    if (!form || event.isComposing) return;
    if (event.key === "Escape") form.querySelector("[data-close]").click();
    if (event.key === "Enter" && event.target.matches("select:not([data-role])")) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  // Incomplete input, such as half a date: the browser would send an empty value instead.
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".cell-form")) return;
    const unreadable = [...event.target.elements].find(({ validity }) => validity?.badInput);
    if (!unreadable) return;
    event.preventDefault();
    event.stopPropagation();
    unreadable.reportValidity();
  }, true);

  // Choosing a row saves it.
  const addSearch = (select) => preparePicker(select).on("select2:select", () => select.form.requestSubmit());
  document.addEventListener("htmx:after:swap", () => {
    const form = document.querySelector(".cell-form:not([data-ready])");
    if (form) {
      form.dataset.ready = "";
      form.querySelectorAll("select[data-role=select2-ajax]").forEach(addSearch);
      const control = form.querySelector(CONTROL);
      jQuery(control).data("select2") ? jQuery(control).select2("open") : control?.focus();
      control?.select?.();
    } else if (last && document.activeElement === document.body) {
      const row = [...document.querySelectorAll("tr[data-pk]")].find(({ dataset }) => dataset.pk === last.pk);
      row?.querySelector(`td[data-cell="${last.name}"] .cell-edit`)?.focus();
    }
  });
})();
