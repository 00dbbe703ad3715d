// The filters of a list. They are open on wide screens, unless the user has closed them. On a phone they are a sheet.
(() => {
  const filters = document.querySelector("details.filters");
  if (!filters) return;
  const summary = filters.querySelector("summary");
  const panel = filters.querySelector(".filters-panel");
  const phone = matchMedia("(max-width: 767.98px)");
  if (matchMedia("(max-width: 1199.98px)").matches || localStorage.getItem("filters") === "closed") filters.open = false;
  delete filters.dataset.initial;
  phone.addEventListener("change", () => { if (phone.matches) filters.open = false; });

  const close = () => {
    filters.open = false;
    summary.focus();
  };
  filters.querySelector("[data-close-filters]").addEventListener("click", close);
  filters.addEventListener("toggle", () => {
    const isSheet = filters.open && phone.matches;
    if (!phone.matches) localStorage.setItem("filters", filters.open ? "open" : "closed");
    panel.setAttribute("role", isSheet ? "dialog" : "group");
    panel.ariaModal = isSheet ? "true" : null;
    if (isSheet) filters.querySelector("[data-close-filters]").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && filters.open && phone.matches && !event.defaultPrevented) close();
  });
  // Keep the focus inside the sheet.
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || !phone.matches) return;
    const fields = [...panel.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")].filter((field) => field.offsetParent && !field.disabled);
    const edge = event.shiftKey ? fields[0] : fields.at(-1);
    if (document.activeElement !== edge) return;
    event.preventDefault();
    (event.shiftKey ? fields.at(-1) : fields[0]).focus();
  });
})();
