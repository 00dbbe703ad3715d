// Light or dark: the visitor's choice, else the system's.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let choice = null;
  try { choice = localStorage.getItem("theme"); } catch { /* storage is forbidden: the choice lasts as long as the page */ }
  const apply = () => root.setAttribute("data-bs-theme", choice || (system.matches ? "dark" : "light"));
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    choice = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    apply();
    try { localStorage.setItem("theme", choice); } catch { /* as above */ }
  });
})();
