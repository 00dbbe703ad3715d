// Form fields that react while the user types, in pages and in the admin.

// <markdown-preview data-for="id"> shows a preview of the textarea with this id.
customElements.get("markdown-preview") ?? customElements.define("markdown-preview", class extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    const box = document.getElementById(this.dataset.for);
    this.button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm mt-1", textContent: gettext("Preview") });
    this.preview = Object.assign(document.createElement("div"), { className: "card card-body mt-1 markdown text-break", hidden: true });
    this.preview.setAttribute("aria-live", "polite");
    this.append(this.button, this.preview);
    box.addEventListener("input", () => { this.preview.hidden = true; });
    this.button.addEventListener("click", async () => {
      this.preview.replaceChildren();
      this.preview.setAttribute("aria-busy", "true");
      this.preview.hidden = false;
      const response = await fetch(this.dataset.url, { method: "POST", body: new URLSearchParams({ text: box.value }) }).catch(() => null);
      if (response?.ok) this.preview.innerHTML = await response.text(); // sanitized by the server
      else this.preview.textContent = gettext("The server does not respond. Try again in a moment.");
      this.preview.removeAttribute("aria-busy");
    });
  }
});

// <input data-slug-from="title"> follows the title until the user edits it.
const transliterations = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ð: "d", đ: "d", þ: "th", ħ: "h", ı: "i", ł: "l", ŋ: "n", ŧ: "t" };
const toAscii = (letter) => transliterations[letter] ?? "";
const slugOf = (text) => text.normalize("NFKD").toLowerCase().replace(/[^\x00-\x7f]/g, toAscii).match(/[a-z0-9]+/g)?.join("-") ?? "";
const edited = new WeakMap();
document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-slug-from]")) edited.set(target, target.value !== "");
  for (const slug of target.form?.querySelectorAll(`[data-slug-from="${CSS.escape(target.name)}"]`) ?? []) {
    if (edited.get(slug) ?? slug.defaultValue !== "") continue;
    slug.value = slugOf(target.value).slice(0, Number(slug.dataset.maxlength) || undefined);
  }
});

// <language-tabs> shows one language at a time. Each child is a label with its input.
customElements.get("language-tabs") ?? customElements.define("language-tabs", class extends HTMLElement {
  connectedCallback() {
    if (this.tabs) return;
    const panels = [...this.children], input = (panel) => panel.querySelector("[lang]:not(label)");
    const list = Object.assign(document.createElement("div"), { className: "nav nav-tabs" });
    list.setAttribute("role", "tablist");
    this.tabs = panels.map((panel) => {
      const label = panel.querySelector("label"), tab = document.createElement("button");
      const hasError = panel.querySelector(".is-invalid");
      Object.assign(tab, { type: "button", className: `nav-link py-1${hasError ? " text-danger" : ""}`, lang: label.lang, textContent: label.textContent, id: `${input(panel).id}-tab` });
      tab.classList.toggle("required", label.classList.contains("required"));
      tab.setAttribute("role", "tab");
      label.classList.add("visually-hidden");
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      list.append(tab);
      return tab;
    });
    const select = (index) => this.tabs.forEach((tab, other) => {
      tab.classList.toggle("active", other === index);
      tab.setAttribute("aria-selected", other === index);
      tab.tabIndex = other === index ? 0 : -1;
      panels[other].hidden = other !== index;
    });
    list.addEventListener("click", ({ target }) => {
      const index = this.tabs.indexOf(target.closest("[role=tab]"));
      if (index >= 0) select(index);
    });
    list.addEventListener("keydown", (event) => {
      const index = this.tabs.indexOf(event.target), count = panels.length;
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key] * (getComputedStyle(list).direction === "rtl" ? -1 : 1);
      const next = { Home: 0, End: count - 1 }[event.key] ?? (index + step + count) % count;
      if (index < 0 || Number.isNaN(next)) return;
      event.preventDefault();
      select(next);
      this.tabs[next].focus();
    });
    // The browser can only show its message at a visible input.
    this.addEventListener("invalid", ({ target }) => select(panels.findIndex((panel) => panel.contains(target))), true);
    this.prepend(list);
    const invalid = panels.findIndex((panel) => panel.querySelector(".is-invalid"));
    const current = panels.findIndex((panel) => input(panel).lang === document.documentElement.lang);
    select(Math.max(invalid >= 0 ? invalid : current, 0));
  }
});
