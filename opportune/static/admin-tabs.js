// Tabs of long forms in the admin. Without JavaScript, all parts of the form are visible.
(() => {
  const form = document.querySelector("form[data-tabs]");
  const panels = [...form.querySelectorAll("[data-tab]")];
  const list = Object.assign(document.createElement("div"), { className: "nav nav-tabs" });
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", gettext("Parts of the form"));
  const key = `tab:${location.pathname}`;

  const countErrors = (panel) => panel.querySelectorAll(".invalid-feedback.d-block").length;
  const tabs = panels.map((panel, index) => {
    const tab = Object.assign(document.createElement("button"), { type: "button", className: "nav-link", id: `tab-${index}`, textContent: panel.dataset.tab });
    panel.id = `panel-${index}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    const count = countErrors(panel), errors = count === 1 ? gettext("error") : gettext("errors");
    if (count) tab.insertAdjacentHTML("beforeend", ` <span class="badge bg-danger text-danger-fg ms-2">${count}<span class="visually-hidden"> ${errors}</span></span>`);
    list.append(tab);
    return tab;
  });

  const select = (index) => {
    tabs.forEach((tab, other) => {
      const isSelected = other === index;
      tab.classList.toggle("active", isSelected);
      tab.setAttribute("aria-selected", isSelected);
      tab.tabIndex = isSelected ? 0 : -1;
      panels[other].hidden = !isSelected;
    });
    list.scrollLeft = tabs[index].offsetLeft - (list.clientWidth - tabs[index].offsetWidth) / 2;
  };
  const open = (index) => {
    select(index);
    try { sessionStorage.setItem(key, index); } catch { /* storage is forbidden */ }
  };
  const stored = () => {
    try { return location.pathname.includes("/edit/") ? Number(sessionStorage.getItem(key)) : 0; } catch { return 0; }
  };

  list.addEventListener("click", ({ target }) => {
    const index = tabs.indexOf(target.closest("[role=tab]"));
    if (index >= 0) open(index);
  });
  list.addEventListener("keydown", (event) => {
    const index = tabs.indexOf(event.target), last = tabs.length - 1;
    const ends = getComputedStyle(list).direction === "rtl" ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];
    const next = { [ends[0]]: index === last ? 0 : index + 1, [ends[1]]: index === 0 ? last : index - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    open(next);
    tabs[next].focus();
  });
  // The browser can only show its message at a visible field.
  form.addEventListener("invalid", ({ target }) => {
    const index = panels.indexOf(target.closest("[data-tab]"));
    if (index >= 0) select(index);
  }, true);

  panels[0].before(list);
  const withErrors = panels.findIndex(countErrors);
  select(withErrors >= 0 ? withErrors : Math.min(stored(), tabs.length - 1));
})();
