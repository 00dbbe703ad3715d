// Groups of the menu: closed ones stay closed on the next page, except the group of that page. Loaded below the menu, so
// that the page does not first show all groups.
(() => {
  const KEY = "admin-closed-groups";
  const read = () => {
    try {
      const names = JSON.parse(localStorage.getItem(KEY));
      return Array.isArray(names) ? names : [];
    } catch {
      return [];
    }
  };
  const write = (names) => {
    try { localStorage.setItem(KEY, JSON.stringify(names)); } catch { /* the browser refuses storage */ }
  };

  for (const group of document.querySelectorAll("details.menu-group")) {
    const heading = group.querySelector("summary");
    if (read().includes(heading.id) && !group.querySelector("[aria-current=page]")) group.open = false;
    group.toggleAttribute("data-closed", !group.open);
    heading.addEventListener("click", () => {
      const others = read().filter((name) => name !== heading.id);
      group.toggleAttribute("data-closed", group.open);
      write(group.open ? [...others, heading.id] : others);
    });
  }
})();
