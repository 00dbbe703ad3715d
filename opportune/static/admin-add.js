// The "+" beside a picker opens the form of a new row in a dialog, and the new row is selected. The form is a page in a
// frame, so that its scripts work unchanged.
(() => {
  const outer = window.frameElement?.closest("dialog");
  if (outer) document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.defaultPrevented) outer.close(); });

  const dialog = document.getElementById("add");
  if (!dialog) return;
  let picker, frame;

  const choose = () => {
    const created = frame.contentDocument?.querySelector("[data-created]");
    if (!created) return frame.contentDocument?.querySelector("form[data-unsaved] :is(input:not([type=hidden]), textarea, select)")?.focus();
    if (!picker.multiple) jQuery(picker).empty();
    jQuery(picker).append(new Option(created.dataset.title, created.dataset.created, true, true)).trigger("change").trigger("select2:select");
    dialog.close();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-add-for]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    picker = document.getElementById(link.dataset.addFor);
    frame = Object.assign(document.createElement("iframe"), { title: link.title, src: link.href });
    frame.addEventListener("load", choose);
    dialog.setAttribute("aria-label", link.title);
    dialog.querySelector("[data-frame]").replaceChildren(frame);
    dialog.showModal();
  });
  dialog.addEventListener("close", () => {
    frame.remove();
    jQuery(picker).data("select2") ? jQuery(picker).select2("focus") : picker.focus();
  });
})();
