// Selection of rows in a list, and charts. Actions on them are confirmed on another page. The search replaces the list.
(() => {
  const update = () => {
    const label = document.querySelector("[data-chosen]");
    if (!label) return;
    const checkboxes = [...document.querySelectorAll(".select-box")];
    const selectPage = document.getElementById("select-all");
    const isAll = document.getElementById("choose-all")?.checked ?? false;
    const selected = checkboxes.filter((box) => box.checked).length;
    const count = isAll ? Number(label.dataset.chosen) : selected;
    label.textContent = count ? gettext("%(count)s selected:", { count: count.toLocaleString(document.documentElement.lang) }) : gettext("With selected rows:");
    for (const button of document.querySelectorAll("[data-needs-choice]")) button.disabled = !count;
    selectPage.checked = selected === checkboxes.length;
    selectPage.indeterminate = selected > 0 && selected < checkboxes.length;
    for (const box of checkboxes) box.disabled = isAll;
  };
  document.addEventListener("change", ({ target }) => {
    if (target.id === "select-all") for (const box of document.querySelectorAll(".select-box")) box.checked = target.checked;
    update();
  });
  // Shift+click selects the rows up to the last one that was clicked.
  let lastBox;
  document.addEventListener("click", ({ target, shiftKey }) => {
    if (!target.matches(".select-box")) return;
    const boxes = [...document.querySelectorAll(".select-box")];
    const ends = [boxes.indexOf(lastBox), boxes.indexOf(target)].sort((one, other) => one - other);
    if (shiftKey && ends[0] >= 0) for (const box of boxes.slice(ends[0], ends[1] + 1)) box.checked = target.checked;
    lastBox = target;
  });
  // The whole text of a cell that is cut.
  document.addEventListener("mouseover", ({ target }) => {
    const box = target.closest(".words > *, .words a");
    if (box && (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight)) box.title = box.textContent.trim();
  });
  // Charts: Tab goes to the last point, and arrows to its neighbours. Without this script, Tab goes to each point.
  const pointsOf = (chart) => [...chart.querySelectorAll(".chart-point")];
  const focusable = (points, point) => points.forEach((each) => { each.tabIndex = each === point ? 0 : -1; });
  const prepareCharts = () => {
    for (const chart of document.querySelectorAll("[data-points]")) focusable(pointsOf(chart), pointsOf(chart).at(-1));
  };
  document.addEventListener("keydown", (event) => {
    const points = pointsOf(event.target.closest("[data-points]") ?? event.target);
    const point = points[points.indexOf(event.target) + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? NaN)];
    if (!point) return;
    event.preventDefault();
    focusable(points, point);
    point.focus();
  });
  document.addEventListener("htmx:after:swap", prepareCharts);
  prepareCharts();
  document.addEventListener("htmx:after:swap", update);
  window.addEventListener("pageshow", update); // going back restores the checkboxes
  update();
})();
