// Passwords that one may look at, and secrets that one may copy. Without JavaScript there are no buttons for it.

const button = (words, what, className) => {
  const made = Object.assign(document.createElement("button"), { type: "button", className });
  const hidden = Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: ` ${what}` });
  made.append(Object.assign(document.createElement("span"), { textContent: words }), hidden);
  return made;
};

// <show-password> around an input of a password.
customElements.get("show-password") ?? customElements.define("show-password", class extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    this.input = this.querySelector("input");
    this.input.spellcheck = false; // browsers send what they check to others
    this.button = button("Show", this.input.labels[0]?.textContent.trim() ?? "password", "btn");
    this.show(false);
    this.append(this.button);
    this.button.addEventListener("click", () => this.show(this.input.type === "password"));
    // A browser remembers what it sees in a text field that is sent.
    this.input.form?.addEventListener("submit", () => this.show(false));
  }

  show(shown) {
    this.input.type = shown ? "text" : "password";
    this.button.setAttribute("aria-pressed", shown);
    this.button.classList.toggle("bg-primary-lt", shown);
  }
});

// <copy-secret data-what="the token"> around what is shown once: what its <code> elements hold, or `data-text`, is copied.
customElements.get("copy-secret") ?? customElements.define("copy-secret", class extends HTMLElement {
  connectedCallback() {
    if (this.button || !navigator.clipboard) return; // which browsers have on https and on this machine
    this.button = button("Copy", this.dataset.what, "btn d-print-none");
    this.told = Object.assign(document.createElement("span"), { className: "visually-hidden" });
    this.told.setAttribute("role", "status");
    this.append(this.button, this.told);
    this.button.addEventListener("click", () => this.copy());
  }

  async copy() {
    const text = this.dataset.text ?? [...this.querySelectorAll("code")].map((code) => code.textContent.trim()).join("\n");
    const said = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not copied: select it and copy it yourself");
    this.button.firstChild.textContent = this.told.textContent = said;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.button.firstChild.textContent = "Copy";
      this.told.textContent = "";
    }, 3000);
  }
});
