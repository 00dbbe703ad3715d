// Fields of forms that do something while one writes, in pages and in the admin.

// <markdown-preview data-for="id"> shows what the box of that id will look like.
customElements.get("markdown-preview") ?? customElements.define("markdown-preview", class extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    const box = document.getElementById(this.dataset.for);
    this.button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm mt-1", textContent: "Preview" });
    this.shown = Object.assign(document.createElement("div"), { className: "card card-body mt-1 markdown text-break", hidden: true });
    this.shown.setAttribute("aria-live", "polite");
    this.append(this.button, this.shown);
    box.addEventListener("input", () => { this.shown.hidden = true; });
    this.button.addEventListener("click", async () => {
      const answer = await fetch("/markdown-preview", { method: "POST", body: new URLSearchParams({ text: box.value }) }).catch(() => null);
      if (answer?.ok) this.shown.innerHTML = await answer.text(); // as the site shows it: nothing of it runs
      else this.shown.textContent = "The server does not answer. Try again in a moment.";
      this.shown.hidden = false;
    });
  }
});

// <input data-slug-from="title"> writes itself until somebody writes in it.
const slugOf = (text) => text.normalize("NFKD").replace(/[^\x00-\x7f]/g, "").toLowerCase().match(/[a-z0-9]+/g)?.join("-") ?? "";
const own = new WeakMap();
document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-slug-from]")) own.set(target, target.value !== "");
  for (const slug of target.form?.querySelectorAll(`[data-slug-from="${CSS.escape(target.name)}"]`) ?? []) {
    if (own.get(slug) ?? slug.defaultValue !== "") continue;
    slug.value = slugOf(target.value).slice(0, slug.maxLength > 0 ? slug.maxLength : undefined);
  }
});
