// Prompts above the question field: "/" in the empty field opens them, and the chosen text moves into the field.
(() => {
  const field = document.getElementById("question"), panel = document.getElementById("prompts"), link = document.getElementById("prompts-open");

  const close = () => {
    panel.replaceChildren();
    field.focus();
  };

  field.addEventListener("keydown", (event) => {
    if (event.key !== "/" || field.value || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    event.preventDefault();
    link.click();
  });

  // A second click closes the panel.
  link.addEventListener("click", (event) => {
    if (!panel.childElementCount) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    close();
  }, { capture: true });

  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });

  document.addEventListener("htmx:after:swap", () => {
    const text = panel.querySelector("[data-prompt]")?.textContent;
    if (text === undefined && panel.childElementCount) scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" }); // above the field
    if (text === undefined) return panel.querySelector("[autofocus], input:not([type=hidden]), textarea, select, button")?.focus();
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true })); // updates the counter, the height and the draft
    close();
  });
})();
