// Changing a field of "Edit selected rows" checks its checkbox.
for (const type of ["input", "change"]) {
  document.addEventListener(type, ({ target }) => {
    const field = target.closest(".chosen-field .col-sm-8")?.closest(".chosen-field");
    if (field) field.querySelector("[name=change]").checked = true;
  });
}
