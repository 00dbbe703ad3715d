// Cells of a list that are edited in place, as in a spreadsheet. The server sends the control of a cell, and the row after
// a change. Arrows go from cell to cell, Enter opens one. In an open cell, Enter and Tab save it and open the next one.
(() => {
  const CONTROL = ":is(input:not([type=hidden]), select, textarea):not([hidden])";
  let last; // the cell that was opened last, to which the focus returns
  let next; // the cell that is opened when this one is saved
  let early; // the keys that were pressed while a cell is requested

  const nameOf = (cell) => ({ pk: cell.closest("tr").dataset.pk, name: cell.dataset.cell });
  const rows = () => [...document.querySelectorAll("tr[data-pk]")];
  const find = ({ pk, name }) => rows().find(({ dataset }) => dataset.pk === pk)?.querySelector(`td[data-cell="${CSS.escape(name)}"]`);
  const below = (cell, step) => rows()[rows().indexOf(cell.closest("tr")) + step]?.querySelector(`td[data-cell="${CSS.escape(cell.dataset.cell)}"]`);
  const beside = (cell, step) => {
    const cells = [...document.querySelectorAll("td[data-cell]")];
    return cells[cells.indexOf(cell) + step];
  };
  const urlOf = (cell) => `${cell.closest("table").dataset.cells}/${Object.values({ name: last.name, pk: last.pk }).map(encodeURIComponent).join("/")}${location.search}`;

  // Columns keep their width while their cells are edited. On a phone, rows are cards.
  const keepWidths = (table) => {
    if (table.dataset.keepsWidths || matchMedia("(max-width: 767.98px)").matches) return;
    const heads = [...table.tHead.rows[0].cells], widths = heads.map((head) => head.getBoundingClientRect().width);
    table.style.width = `${table.getBoundingClientRect().width}px`;
    heads.forEach((head, index) => head.style.setProperty("width", `${widths[index]}px`, "important"));
    table.dataset.keepsWidths = "yes";
  };
  addEventListener("resize", () => {
    for (const table of document.querySelectorAll("table[data-keeps-widths]")) {
      for (const part of [table, ...table.tHead.rows[0].cells]) part.style.removeProperty("width");
      delete table.dataset.keepsWidths;
    }
  });

  const open = (cell) => {
    const opened = cell.closest("tr").querySelector(".cell-form");
    if (opened) return opened.querySelector(CONTROL)?.focus();
    last = nameOf(cell);
    const toggle = cell.querySelector(".cell-toggle");
    if (toggle) return htmx.ajax("POST", urlOf(cell), { source: toggle, values: { toggle: toggle.dataset.value }, swap: "none" });
    keepWidths(cell.closest("table"));
    early ??= [];
    htmx.ajax("GET", urlOf(cell), { target: cell, swap: "innerHTML" });
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-cell]");
    const isControl = event.target.closest("a, input, select, textarea, label, .cell-form");
    const toggle = cell?.querySelector(".cell-toggle");
    if (cell && !isControl && getSelection().isCollapsed && (!toggle || toggle.contains(event.target))) open(cell);
  });

  const save = (form, cell) => {
    next = cell && nameOf(cell);
    early ??= [];
    form.requestSubmit();
  };
  const keysInForm = (event, form, cell) => {
    const isText = event.target.matches("input:not([type=number], [type=date], [type=time], [type=datetime-local], [type=checkbox])");
    const isOtherControl = !event.target.matches("input, select");
    const step = event.shiftKey ? -1 : 1;
    if (event.key === "Escape") form.querySelector("[data-close]").click();
    else if (event.key === "Enter" && !isOtherControl) save(form, below(cell, step));
    else if (event.key === "Tab" && !event.target.closest("button")) save(form, beside(cell, step));
    else if (isText && event.key === "ArrowDown") save(form, below(cell, 1));
    else if (isText && event.key === "ArrowUp") save(form, below(cell, -1));
    else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td[data-cell]"), form = event.target.closest(".cell-form");
    if (!cell || event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (form) return keysInForm(event, form, cell);
    const isLeftToRight = getComputedStyle(cell).direction === "ltr";
    const steps = { ArrowDown: [below, 1], ArrowUp: [below, -1], ArrowRight: [beside, isLeftToRight ? 1 : -1], ArrowLeft: [beside, isLeftToRight ? -1 : 1] };
    if (!steps[event.key] || !event.target.matches(".cell-edit")) return;
    event.preventDefault();
    const [go, step] = steps[event.key];
    go(cell, step)?.querySelector(".cell-edit")?.focus();
  });

  // Users may type faster than the server responds. The control of the next cell gets these keys when it has arrived. They end
  // at the first key that cannot be repeated, such as an arrow, because later ones would write into another place.
  const DELETIONS = { Backspace: "delete", Delete: "forwardDelete" };
  const SILENT = ["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead"];
  const isMac = /^(Mac|iP)/.test(navigator.platform); // Control-A moves to the start of the line there
  const selectsAll = ({ key, ctrlKey, metaKey, altKey }) => (isMac ? metaKey : ctrlKey) && !altKey && key.toLowerCase() === "a";
  const canRepeat = (event) => {
    if (selectsAll(event)) return true;
    const isShortcut = (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph");
    return !isShortcut && (event.key.length === 1 || event.key in DELETIONS || ["Enter", "Tab", "Escape"].includes(event.key));
  };
  document.addEventListener("keydown", (event) => {
    const isForCell = event.target === document.body || event.target.closest("td[data-cell]");
    if (!early || !isForCell || !event.isTrusted || SILENT.includes(event.key)) return;
    early.push(event);
    if (!canRepeat(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  document.addEventListener("htmx:error", () => { early = undefined; });
  const typeInto = (control, keys) => {
    for (const [index, event] of keys.entries()) {
      const { key, shiftKey } = event;
      if (!canRepeat(event)) return;
      if (selectsAll(event)) control.select?.();
      else if (key.length === 1) document.execCommand("insertText", false, key);
      else if (key in DELETIONS) document.execCommand(DELETIONS[key]);
      else {
        const isIgnored = control.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true, cancelable: true }));
        if (!isIgnored) return void early?.push(...keys.slice(index + 1));
        if (key === "Enter") document.execCommand("insertText", false, "\n"); // in a text of several lines
      }
    }
  };

  // Cells of a spreadsheet, from the cell with the focus on. The server changes all rows, or shows them with its errors.
  document.addEventListener("paste", (event) => {
    const cell = event.target.closest("td[data-cell]"), text = event.clipboardData.getData("text/plain");
    const hasCells = text.includes("\t") || (text.trimEnd().includes("\n") && !event.target.matches("textarea"));
    if (!cell || !hasCells) return;
    event.preventDefault();
    const form = Object.assign(document.createElement("form"), { method: "post", action: cell.closest("table").dataset.paste, hidden: true });
    const add = (name, value) => form.append(Object.assign(document.createElement("textarea"), { name, value }));
    for (const row of rows().slice(rows().indexOf(cell.closest("tr")))) add("pk", row.dataset.pk);
    add("column", cell.dataset.cell);
    add("paste", text);
    document.body.append(form);
    form.requestSubmit();
  });

  // The browser does not send an invalid value, so no other cell opens.
  document.addEventListener("invalid", ({ target }) => {
    if (target.closest(".cell-form")) next = early = undefined;
  }, true);

  document.addEventListener("picker:select", ({ target }) => target.closest(".cell-form")?.requestSubmit());
  document.addEventListener("htmx:after:swap", () => {
    const form = document.querySelector(".cell-form:not([data-ready])");
    if (form) {
      const keys = form.querySelector("[role=alert]") ? [] : early ?? [];
      form.dataset.ready = "";
      next = early = undefined;
      const control = form.querySelector(CONTROL);
      control?.focus();
      control?.select?.();
      if (control?.closest("row-picker")) control.click(); // opens its list
      if (control) typeInto(control, keys);
      return;
    }
    const cell = next ? find(next) : last && document.activeElement === document.body ? find(last) : undefined;
    const button = cell?.querySelector(".cell-edit");
    button?.focus();
    if (next && button && !button.matches(".cell-toggle")) open(cell);
    else early = undefined;
    next = undefined;
  });
})();
