// Forms of the admin: prepare pickers, warn about unsaved changes and refuse files that are too large.

// Pickers that scripts add to a page. SQLAdmin's main.js prepares those of the loaded page.
const preparePicker = (select) => jQuery(select).select2({
  placeholder: select.getAttribute("placeholder"),
  allowClear: !select.multiple && "allowBlank" in select.dataset,
  ajax: { url: select.dataset.url, dataType: "json", data: ({ term }) => ({ name: select.name, term }) },
});

(() => {
  // SQLAdmin's script counts characters in English.
  for (const count of document.querySelectorAll(".chars-count-label")) {
    const translate = () => {
      count.textContent = count.textContent.replace("Number of characters", gettext("Number of characters"));
    };
    count.previousElementSibling.addEventListener("input", translate);
    translate();
  }

  // Select2 sets no accessible name, and an invalid role, on the search of a multiple select.
  for (const select of document.querySelectorAll("select[multiple][data-role=select2-ajax]")) {
    for (const part of select.nextElementSibling?.querySelectorAll("[role=combobox], [role=searchbox]") ?? []) {
      part.setAttribute("aria-label", select.labels[0]?.textContent ?? gettext("Search"));
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

  // The server validates the values and shows errors beside the fields. Incomplete input, such as half a date, is checked
  // here, because the browser would send an empty value instead.
  form.noValidate = true;
  form.addEventListener("submit", (event) => {
    const unreadable = [...form.elements].find(({ validity }) => validity?.badInput);
    if (!unreadable) return;
    event.preventDefault();
    unreadable.reportValidity();
  });

  // Values that a script fills in at the start, such as those of pickers, are not changes of the user.
  let changed = Boolean(form.querySelector(".is-invalid"));
  for (const type of ["input", "change"]) form.addEventListener(type, (event) => { changed = changed || event.isTrusted; });
  form.addEventListener("inline:change", () => { changed = true; });
  window.jQuery?.(form).on("select2:select select2:clear", () => { changed = true; });
  form.addEventListener("submit", (event) => { changed = changed && event.defaultPrevented; });
  if (window === window.top) window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
})();
