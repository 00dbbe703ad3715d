// Form fields that react while the user types, in pages and in the admin.

// <markdown-preview data-for="id"> shows a preview of the textarea with this id.
customElements.get("markdown-preview") ?? customElements.define("markdown-preview", class extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    const box = document.getElementById(this.dataset.for);
    this.button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm mt-1", textContent: "Preview" });
    this.preview = Object.assign(document.createElement("div"), { className: "card card-body mt-1 markdown text-break", hidden: true });
    this.preview.setAttribute("aria-live", "polite");
    this.append(this.button, this.preview);
    box.addEventListener("input", () => { this.preview.hidden = true; });
    this.button.addEventListener("click", async () => {
      this.preview.replaceChildren();
      this.preview.setAttribute("aria-busy", "true");
      this.preview.hidden = false;
      const response = await fetch("/markdown-preview", { method: "POST", body: new URLSearchParams({ text: box.value }) }).catch(() => null);
      if (response?.ok) this.preview.innerHTML = await response.text(); // sanitized by the server
      else this.preview.textContent = "The server does not respond. Try again in a moment.";
      this.preview.removeAttribute("aria-busy");
    });
  }
});

// <input data-slug-from="title"> follows the title until the user edits it.
const slugOf = (text) => text.normalize("NFKD").replace(/[^\x00-\x7f]/g, "").toLowerCase().match(/[a-z0-9]+/g)?.join("-") ?? "";
const edited = new WeakMap();
document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-slug-from]")) edited.set(target, target.value !== "");
  for (const slug of target.form?.querySelectorAll(`[data-slug-from="${CSS.escape(target.name)}"]`) ?? []) {
    if (edited.get(slug) ?? slug.defaultValue !== "") continue;
    slug.value = slugOf(target.value).slice(0, slug.maxLength > 0 ? slug.maxLength : undefined);
  }
});
