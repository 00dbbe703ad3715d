// Changing a field of "Edit selected rows" checks its checkbox. Only jQuery receives the events of select2.
jQuery(document).on("input change", ".chosen-field .col-sm-8", ({ currentTarget }) => {
  currentTarget.closest(".chosen-field").querySelector("[name=change]").checked = true;
});
