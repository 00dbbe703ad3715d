// Live preview of a theme on the page Admin > Appearance.
(() => {
  const form = document.getElementById("appearance");
  const preview = document.getElementById("preview");
  const sheet = document.getElementById("sheet");
  form.addEventListener("change", async ({ target }) => {
    // A theme brings its corners and density.
    for (const name of target.name === "theme" ? ["corners", "density"] : []) form.elements[name].value = target.dataset[name];
    preview.href = `${form.dataset.preview}?${new URLSearchParams(new FormData(form))}`;
    if (sheet) sheet.textContent = await (await fetch(preview.href)).text();
  });
})();
