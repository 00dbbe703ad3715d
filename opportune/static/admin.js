// The boxes of a list: how many are chosen, and all of a page at once. What is done with them is asked on a page.
(() => {
  const told = document.querySelector("[data-chosen]");
  if (!told) return;
  const boxes = [...document.querySelectorAll(".select-box")];
  const page = document.getElementById("select-all");
  const all = document.getElementById("choose-all");

  const show = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    const count = all?.checked ? Number(told.dataset.chosen) : chosen;
    told.textContent = count ? `${count.toLocaleString("en")} chosen:` : "With those chosen:";
    for (const button of document.querySelectorAll("[data-needs-choice]")) button.disabled = !count;
    page.checked = chosen === boxes.length;
    page.indeterminate = chosen > 0 && chosen < boxes.length;
    for (const box of boxes) box.disabled = all?.checked ?? false;
  };
  page.addEventListener("change", () => {
    for (const box of boxes) box.checked = page.checked;
  });
  document.addEventListener("change", show);
  window.addEventListener("pageshow", show); // a browser that goes back has kept the boxes
  show();
})();
