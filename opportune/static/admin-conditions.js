// Fields that appear only for some values of other fields. Without JavaScript, all fields are visible.
(() => {
  const parts = [...document.querySelectorAll("[data-show-when]")].map((part) => ({
    part,
    controls: [...part.querySelectorAll("input, select, textarea, button")],
    conditions: Object.entries(JSON.parse(part.dataset.showWhen)),
  }));
  const { form } = parts[0].controls[0];

  const textOf = (control) => (control.type === "checkbox" ? String(control.checked) : control.value.trim());
  const controlOf = (name) => form.querySelector(`[name="${CSS.escape(name)}"]:not([type=hidden])`);
  // A hidden control is disabled, and meets no condition.
  const isMet = ([name, texts]) => {
    const control = controlOf(name);
    return !control || (!control.disabled && texts.includes(textOf(control)));
  };
  const update = () => {
    // Repeated for each field, because it may depend on one that follows.
    for (const { part, controls, conditions } of parts.flatMap(() => parts)) {
      part.hidden = !conditions.every(isMet);
      for (const control of controls) control.disabled = part.hidden; // not sent, so the stored value stays
    }
  };
  form.addEventListener("input", update);
  form.addEventListener("change", update);
  update();
})();
