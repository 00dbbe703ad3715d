// Buttons to show passwords and to copy secrets. Without JavaScript there are none.

const button = (text, subject, className) => {
  const element = Object.assign(document.createElement("button"), { type: "button", className });
  const hidden = Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: ` ${subject}` });
  element.append(Object.assign(document.createElement("span"), { textContent: text }), hidden);
  return element;
};

// <show-password> around a password input.
customElements.get("show-password") ?? customElements.define("show-password", class extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    this.input = this.querySelector("input");
    this.input.spellcheck = false; // spell checkers may send the text to a service
    this.button = button(gettext("Show"), this.input.labels[0]?.textContent.trim() ?? gettext("password"), "btn");
    this.show(false);
    this.append(this.button);
    this.button.addEventListener("click", () => this.show(this.input.type === "password"));
    // Browsers remember the values of submitted text fields.
    this.input.form?.addEventListener("submit", () => this.show(false));
  }

  show(visible) {
    this.input.type = visible ? "text" : "password";
    this.button.setAttribute("aria-pressed", visible);
    this.button.classList.toggle("bg-primary-lt", visible);
  }
});

// <copy-secret data-what="the token"> around a secret: copies the text of its <code> elements, or `data-text`.
customElements.get("copy-secret") ?? customElements.define("copy-secret", class extends HTMLElement {
  connectedCallback() {
    if (this.button || !navigator.clipboard) return; // available over https and on localhost
    this.button = button(gettext("Copy"), this.dataset.what, "btn d-print-none");
    this.status = Object.assign(document.createElement("span"), { className: "visually-hidden" });
    this.status.setAttribute("role", "status");
    this.append(this.button, this.status);
    this.button.addEventListener("click", () => this.copy());
  }

  async copy() {
    const text = this.dataset.text ?? [...this.querySelectorAll("code")].map((code) => code.textContent.trim()).join("\n");
    const message = await navigator.clipboard.writeText(text).then(() => gettext("Copied"), () => gettext("Not copied. Select the text and copy it"));
    this.button.firstChild.textContent = this.status.textContent = message;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.button.firstChild.textContent = gettext("Copy");
      this.status.textContent = "";
    }, 3000);
  }
});
