// Selection of rows in a list. Actions on them are confirmed on another page.
(() => {
  const label = document.querySelector("[data-chosen]");
  if (!label) return;
  const checkboxes = [...document.querySelectorAll(".select-box")];
  const selectPage = document.getElementById("select-all");
  const selectAll = document.getElementById("choose-all");

  const update = () => {
    const selected = checkboxes.filter((box) => box.checked).length;
    const count = selectAll?.checked ? Number(label.dataset.chosen) : selected;
    label.textContent = count ? `${count.toLocaleString("en")} selected:` : "With selected rows:";
    for (const button of document.querySelectorAll("[data-needs-choice]")) button.disabled = !count;
    selectPage.checked = selected === checkboxes.length;
    selectPage.indeterminate = selected > 0 && selected < checkboxes.length;
    for (const box of checkboxes) box.disabled = selectAll?.checked ?? false;
  };
  selectPage.addEventListener("change", () => {
    for (const box of checkboxes) box.checked = selectPage.checked;
  });
  document.addEventListener("change", update);
  window.addEventListener("pageshow", update); // going back restores the checkboxes
  update();
})();
