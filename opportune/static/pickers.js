// Foreign key fields of the site and the admin: <row-picker> adds a search box to its select, and "+" opens the form of a
// new row in a dialog. The select keeps the value, which the form sends. Without JavaScript, users see only the select.
const WAIT_MS = 150;

class RowPicker extends HTMLElement {
  connectedCallback() {
    if (this.box) return;
    this.select = this.querySelector("select");
    const { id, multiple, required } = this.select;
    const [first] = this.select.options, rows = [...this.select.options].filter((option) => option.value);
    this.emptyLabel = (!first?.value && first?.text) || gettext("None");
    this.initialRows = rows.map(({ value, text }) => ({ id: value, text }));
    this.hasFirstRows = rows.some((option) => !option.selected);
    this.select.id = `${id}-select`;
    this.required = required;
    this.select.required = false;
    this.select.hidden = true;
    this.box = Object.assign(document.createElement("input"), { id, type: "text", className: "form-control", autocomplete: "off", spellcheck: false });
    for (const name of ["aria-label", "aria-describedby", "aria-invalid", "autofocus"]) {
      if (this.select.hasAttribute(name)) this.box.setAttribute(name, this.select.getAttribute(name));
    }
    this.box.classList.toggle("is-invalid", this.select.classList.contains("is-invalid"));
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list` })) {
      this.box.setAttribute(name, value);
    }
    const label = this.select.ariaLabel ?? document.querySelector(`label[for="${CSS.escape(id)}"]`)?.textContent ?? "";
    this.list = Object.assign(document.createElement("ul"), { id: `${id}-list`, className: "picker-list", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", label);
    // In the top layer, the list may be larger than a scrolling table or a dialog.
    if (CSS.supports("anchor-scope", "all")) this.list.popover = "manual";
    this.status = Object.assign(document.createElement("span"), { className: "visually-hidden" });
    this.status.setAttribute("aria-live", "polite");
    this.chips = Object.assign(document.createElement("ul"), { className: "picker-chips", hidden: true });
    this.chips.setAttribute("aria-label", gettext("%(label)s: selected", { label }));
    this.append(...(multiple ? [this.chips] : []), this.box, this.list, this.status);
    this.box.addEventListener("input", () => this.search());
    for (const type of ["input", "change"]) this.box.addEventListener(type, (event) => event.stopPropagation()); // typing does not change the value
    this.select.addEventListener("input", () => this.update());
    this.box.addEventListener("click", () => this.list.hidden && this.search());
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.box.addEventListener("blur", () => this.close());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // the box keeps the focus
    this.list.addEventListener("click", ({ target }) => this.selectOption(target.closest("[role=option]")));
    this.chips.addEventListener("click", ({ target }) => {
      if (!target.closest("button")) return;
      this.toggle(target.closest("li").dataset.id, "", false);
      this.box.focus();
    });
    this.update();
    if (this.select.autofocus) this.box.focus();
  }

  get selected() { return [...this.select.selectedOptions].filter((option) => option.value); }

  // Show the selected rows.
  update() {
    const { selected } = this;
    if (!this.select.multiple) this.box.value = selected[0]?.text ?? "";
    this.box.placeholder = selected.length ? "" : this.dataset.placeholder ?? gettext("Type to search");
    this.box.setCustomValidity(this.required && !selected.length ? gettext("Please choose one.") : "");
    this.chips.hidden = !selected.length;
    this.chips.replaceChildren(...selected.map(({ value, text }) => {
      const chip = Object.assign(document.createElement("li"), { className: "badge", textContent: text });
      const remove = Object.assign(document.createElement("button"), { type: "button", className: "btn-close" });
      remove.setAttribute("aria-label", gettext("Remove %(name)s", { name: text }));
      chip.dataset.id = value;
      chip.append(remove);
      return chip;
    }));
  }

  toggle(id, text, isSelected) {
    let option = [...this.select.options].find(({ value }) => value === id);
    if (!option) this.select.append(option = new Option(text, id));
    if (text) option.text = text; // a row that no longer exists is named by its number
    option.selected = isSelected;
    for (const type of ["input", "change"]) this.select.dispatchEvent(new Event(type, { bubbles: true }));
  }

  get term() {
    const text = this.box.value.trim();
    return !this.select.multiple && text === this.selected[0]?.text ? "" : text;
  }

  search() {
    clearTimeout(this.timer);
    this.request?.abort();
    const { term } = this, { url } = this.dataset;
    if (!url || (!term && this.hasFirstRows)) return this.open(this.initialRows.filter(({ text }) => text.toLowerCase().includes(term.toLowerCase())));
    this.timer = setTimeout(async () => {
      this.request = new AbortController();
      this.wait();
      try {
        const response = await fetch(`${url}?${new URLSearchParams({ name: this.select.name, term })}`, { signal: this.request.signal });
        if (response.status >= 500) throw new Error(response.statusText);
        if (!response.ok) return this.close();
        this.open((await response.json()).results);
      } catch (error) {
        if (error.name === "AbortError") return;
        this.close();
        document.getElementById("unreachable")?.removeAttribute("hidden");
      }
    }, term ? WAIT_MS : 0);
  }

  // Keep the rows of the last search. An empty list shows lines: motion.css.
  wait() {
    if (this.list.hidden) this.list.replaceChildren();
    this.showList(true);
    this.list.setAttribute("aria-busy", "true");
    this.status.textContent = gettext("Loading");
  }

  showList(isOpen) {
    this.list.hidden = !isOpen;
    if (this.list.popover && this.isConnected) this.list.togglePopover(isOpen);
    this.box.setAttribute("aria-expanded", isOpen);
  }

  open(rows) {
    this.list.removeAttribute("aria-busy");
    if (document.activeElement !== this.box) return;
    const selected = new Set(this.selected.map(({ value }) => value));
    const emptyRows = !this.select.multiple && !this.required && selected.size && !this.term ? [{ id: "", text: this.emptyLabel }] : [];
    this.list.replaceChildren(...[...emptyRows, ...rows].map(({ id, text }, number) => {
      const option = Object.assign(document.createElement("li"), { id: `${this.list.id}-${number}`, textContent: text });
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", selected.has(String(id)));
      option.dataset.id = id;
      return option;
    }));
    this.status.textContent = rows.length ? gettext("%(count)s found", { count: rows.length }) : gettext("Nothing matches");
    if (!rows.length && !emptyRows.length) this.list.replaceChildren(Object.assign(document.createElement("li"), { className: "text-secondary", textContent: gettext("Nothing matches") }));
    this.list.querySelector(":scope > li:not([role])")?.setAttribute("role", "presentation");
    this.showList(true);
    this.setActive(this.term ? this.list.querySelector("[role=option]") : null);
  }

  close() {
    clearTimeout(this.timer);
    this.request?.abort();
    // Emptying the box selects no row.
    if (!this.select.multiple && !this.box.value.trim() && this.selected.length && !this.required) this.toggle("", this.emptyLabel, true);
    this.showList(false);
    this.list.removeAttribute("aria-busy");
    this.setActive(null);
    if (this.select.multiple) this.box.value = "";
    else this.update();
  }

  setActive(option) {
    this.list.querySelector(".active")?.classList.remove("active");
    this.box.toggleAttribute("aria-activedescendant", false);
    if (!option) return;
    option.classList.add("active");
    option.scrollIntoView({ block: "nearest" });
    this.box.setAttribute("aria-activedescendant", option.id);
  }

  selectOption(option) {
    if (!option) return;
    const { id } = option.dataset;
    this.toggle(id, option.textContent, !(this.select.multiple && this.selected.some(({ value }) => value === id)));
    this.close();
    this.dispatchEvent(new CustomEvent("picker:select", { bubbles: true }));
  }

  onKey(event) {
    const options = [...this.list.querySelectorAll("[role=option]")];
    const activeIndex = options.findIndex((option) => option.classList.contains("active"));
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      if (this.list.hidden) return this.search();
      this.setActive(options.at((activeIndex < 0 && steps[event.key] < 0 ? 0 : activeIndex) + steps[event.key]) ?? options[0]);
    } else if (event.key === "Enter" && !this.list.hidden) {
      event.preventDefault();
      options[activeIndex] ? this.selectOption(options[activeIndex]) : this.close();
    } else if (event.key === "Tab") {
      this.close(); // before other listeners send the form
    } else if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (event.key === "Backspace" && !this.box.value && this.select.multiple) {
      const last = this.selected.at(-1);
      if (last) this.toggle(last.value, "", false);
    }
  }
}
customElements.define("row-picker", RowPicker);

// Select the new row in the field that opened the dialog.
const selectRow = (field, { created, title }) => {
  if (field.matches("[type=checkbox]")) {
    const row = field.closest("label").cloneNode(true);
    Object.assign(row.querySelector("input"), { value: created, checked: true, id: "" });
    row.querySelector("span").textContent = title;
    return field.closest("fieldset").querySelector("label:last-of-type").after(row);
  }
  const picker = field.closest("row-picker");
  if (picker) return picker.toggle(created, title, true);
  field.append(new Option(title, created, true, true));
  field.dispatchEvent(new Event("change", { bubbles: true }));
};

// Open the form of a new row. Pages of the admin are shown in a frame, in which their scripts work unchanged.
const openDialog = (link, field) => {
  const dialog = Object.assign(document.createElement("dialog"), { className: "add dialog" });
  const content = Object.assign(document.createElement("div"), { id: "add-row" });
  const closeForm = Object.assign(document.createElement("form"), { method: "dialog", className: "add-close" });
  const close = Object.assign(document.createElement("button"), { className: "btn-close" });
  close.setAttribute("aria-label", gettext("Close"));
  closeForm.append(close);
  dialog.setAttribute("aria-label", link.title);
  dialog.append(closeForm, content);
  document.body.append(dialog);
  dialog.addEventListener("close", () => { dialog.remove(); field.focus(); });
  const selectAdded = (part) => {
    const added = part?.querySelector("[data-created]");
    if (!added) return part?.querySelector("form[data-unsaved] :is(input:not([type=hidden]), textarea, select):not([hidden])")?.focus();
    selectRow(field, added.dataset);
    dialog.close();
  };
  dialog.showModal();
  if ("frame" in link.dataset) {
    const frame = Object.assign(document.createElement("iframe"), { title: link.title, src: link.href });
    frame.addEventListener("load", () => selectAdded(frame.contentDocument));
    content.append(frame);
  } else {
    new MutationObserver(() => selectAdded(content)).observe(content, { childList: true, subtree: true });
    htmx.ajax("GET", link.href, { target: content, swap: "innerHTML" });
  }
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-add-for]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openDialog(link, document.getElementById(link.dataset.addFor));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) window.frameElement?.closest("dialog.add")?.close();
});
