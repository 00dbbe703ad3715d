// Translate a text of a script, and fill in its values: gettext("Remove %(name)s", { name }). As in directions.py, marks
// isolate values with letters of another direction.
window.gettext = (text, values = {}) =>
  (window.translations?.[text] ?? text).replace(/%\((\w+)\)s/g, (placeholder, name) => {
    const value = String(values[name] ?? placeholder);
    return document.dir === "rtl" && /[^\P{L}\p{Script=Arabic}\p{Script=Hebrew}]/u.test(value) ? `\u2068${value}\u2069` : value;
  });

// Light or dark mode: the visitor's choice, or else the system's.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  // Signing out clears the storage. This cookie keeps the choice until the next page.
  const carry = (theme, seconds) => { document.cookie = `theme=${theme}; Path=/; SameSite=Lax; Max-Age=${seconds}`; };
  let choice = document.cookie.match(/(?:^|; )theme=(dark|light)/)?.[1];
  try {
    if (choice) localStorage.setItem("theme", choice);
    else choice = localStorage.getItem("theme");
  } catch { /* storage is forbidden: the choice lasts for this page */ }
  if (choice) carry("", 0);
  const apply = () => root.setAttribute("data-bs-theme", choice || (system.matches ? "dark" : "light"));
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme, [data-theme-switch]")) return;
    choice = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    apply();
    try { localStorage.setItem("theme", choice); } catch { /* as above */ }
  });
  document.addEventListener("submit", ({ target }) => {
    const signsOut = /\/accounts\/(logout|sessions\/end-all|data\/delete)$/.test(target.getAttribute("action"));
    if (signsOut && choice) carry(choice, 60);
  });
})();
