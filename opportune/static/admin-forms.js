// Forms of the admin: warn about unsaved changes and refuse files that are too large.
(() => {
  for (const input of document.querySelectorAll("input[type=file][data-largest]")) {
    const fault = document.createElement("div");
    fault.className = "invalid-feedback";
    fault.setAttribute("role", "alert");
    input.after(fault);
    input.addEventListener("change", () => {
      const tooLarge = [...input.files].some((file) => file.size > Number(input.dataset.largest));
      if (tooLarge) input.value = "";
      input.classList.toggle("is-invalid", tooLarge);
      fault.textContent = tooLarge ? input.dataset.tooLarge : "";
    });
  }

  const form = document.querySelector("form[data-unsaved]");
  if (!form) return;
  form.querySelector("[aria-invalid=true]")?.focus();

  // The server validates the values and shows errors beside the fields. Incomplete input, such as half a date, is checked
  // here, because the browser would send an empty value instead.
  form.noValidate = true;
  form.addEventListener("submit", (event) => {
    const unreadable = [...form.elements].find(({ validity }) => validity?.badInput);
    if (!unreadable) return;
    event.preventDefault();
    unreadable.reportValidity();
  });

  let changed = Boolean(form.querySelector(".is-invalid"));
  for (const type of ["input", "change", "inline:change"]) form.addEventListener(type, () => { changed = true; });
  form.addEventListener("submit", (event) => { changed = changed && event.defaultPrevented; });
  if (window === window.top) window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
})();
