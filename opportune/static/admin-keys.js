// Keyboard shortcuts of the admin and the filter of its menu.
(() => {
  const keys = document.getElementById("keys");
  const filter = document.getElementById("menu-filter");
  const box = filter.parentElement;
  const menu = document.getElementById("menu");
  box.hidden = false;
  for (const part of document.querySelectorAll("[data-needs-keys]")) part.hidden = false;

  // Not scrollIntoView: in some versions of Chromium, Tab would continue there and skip the link to the content.
  const below = (menu.querySelector("[aria-current]")?.getBoundingClientRect().bottom ?? 0) - menu.querySelector(".menu-end").getBoundingClientRect().top;
  if (below > 0) menu.querySelector(".menu-scroll").scrollTop += below + 80; // the entries after it show that there are more
  const groups = [...menu.querySelectorAll("ul.navbar-nav:not(.menu-end)")];
  const isHeading = (part) => part && part.classList.contains("menu-heading");
  filter.addEventListener("input", () => {
    const term = filter.value.trim().toLowerCase();
    for (const group of groups) {
      const heading = isHeading(group.previousElementSibling) ? group.previousElementSibling : null;
      const all = heading && heading.textContent.toLowerCase().includes(term);
      let hasMatch = false;
      for (const entry of group.children) {
        entry.hidden = !all && !entry.textContent.toLowerCase().includes(term);
        hasMatch = hasMatch || !entry.hidden;
      }
      if (heading) heading.hidden = !hasMatch;
      const fold = group.closest("details");
      if (fold) fold.open = Boolean(term) || !fold.hasAttribute("data-closed");
    }
  });
  filter.addEventListener("keydown", (event) => {
    const first = menu.querySelector(".nav-item:not([hidden]) > a.nav-link");
    if (event.key === "Enter" && filter.value && first) first.click();
    if (event.key === "Escape") {
      filter.value = "";
      filter.dispatchEvent(new Event("input"));
    }
  });

  const focus = (part) => { if (part) { part.focus(); part.select?.(); } };
  const follow = (part) => { if (part) part.click(); };
  const openMenu = () => {
    if (!filter.offsetParent) menu.showPopover(); // a phone
    focus(filter);
  };
  // Rows of a list. The current row contains the focus.
  const ROWS = ".listed > .table > tbody > tr";
  const currentRow = () => document.activeElement.closest(ROWS);
  const goToRow = (step) => {
    const rows = [...document.querySelectorAll(ROWS)], current = rows.indexOf(currentRow());
    const row = rows[Math.max(0, Math.min(current + step, rows.length - 1))];
    (row?.querySelector("td:not(.pick) a[href]") ?? row?.querySelector("input, button"))?.focus();
  };
  const SHORTCUTS = {
    "j": () => goToRow(1),
    "k": () => goToRow(-1),
    "x": () => follow(currentRow()?.querySelector(".select-box")),
    "/": () => focus(document.querySelector("main input[type=search]")),
    "m": openMenu,
    "n": () => follow(document.querySelector('.page-header a[href$="/create"]')),
    "e": () => follow((currentRow() ?? document.querySelector(".page-header")).querySelector('a[href*="/edit/"]')),
    "?": () => keys.showModal(),
  };
  const save = (part) => document.querySelector("main .btn-primary[name=save]") ?? part.closest("form[method=post]")?.querySelector(".btn-primary");
  const isTextInput = (part) => part.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.isComposing || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey) {
      const button = ["Enter", "s"].includes(event.key) && save(event.target);
      if (button) { event.preventDefault(); button.click(); }
      return;
    }
    if (event.key === "Escape" && isTextInput(event.target)) event.target.blur();
    if (isTextInput(event.target) || keys.open || document.querySelector(".modal.show") || !SHORTCUTS[event.key]) return;
    event.preventDefault();
    SHORTCUTS[event.key]();
  });
  document.getElementById("show-keys").addEventListener("click", () => keys.showModal());
  keys.addEventListener("click", (event) => { if (event.target === keys) keys.close(); });
})();
