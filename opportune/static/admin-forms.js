// Forms of the admin: changes are not lost by accident, files that are too large are not sent.
(() => {
  // Select2 gives a select of several neither a name nor a role that its search may have.
  for (const select of document.querySelectorAll("select[multiple][data-role=select2-ajax]")) {
    for (const part of select.nextElementSibling?.querySelectorAll("[role=combobox], [role=searchbox]") ?? []) {
      part.setAttribute("aria-label", select.labels[0]?.textContent ?? "Search");
      if (part.localName === "textarea") part.removeAttribute("role");
    }
  }

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

  // The server checks the values and says what is wrong beside the fields. It never sees a text that the browser could not
  // read, such as half a date: the browser would send an empty value instead.
  form.noValidate = true;
  form.addEventListener("submit", (event) => {
    const unreadable = [...form.elements].find(({ validity }) => validity?.badInput);
    if (!unreadable) return;
    event.preventDefault();
    unreadable.reportValidity();
  });

  // What a script fills in at the start, such as what a picker shows, is no change of the visitor's.
  let changed = Boolean(form.querySelector(".is-invalid"));
  for (const kind of ["input", "change"]) form.addEventListener(kind, (event) => { changed = changed || event.isTrusted; });
  jQuery(form).on("select2:select select2:clear", () => { changed = true; });
  form.addEventListener("submit", (event) => { changed = changed && event.defaultPrevented; });
  if (window === window.top) window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
})();
