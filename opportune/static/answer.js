// An answer that streams into the page (macros/answer.html): Stop while it is written, and words where it broke off.
(() => {
  const forms = new WeakMap(); // what each form waits for, and whether its reader has had enough
  const show = (form, isRunning, status, isLost = false) => {
    form.querySelector("[data-stop]").hidden = !isRunning;
    document.getElementById(`${form.id}-answer`).ariaBusy = isRunning;
    document.getElementById(`${form.id}-lost`).hidden = !isLost;
    document.getElementById(`${form.id}-status`).textContent = status;
  };

  document.addEventListener("htmx:before:request", ({ target, detail: { ctx } }) => {
    if (target.matches(".ask")) forms.set(target, { request: ctx.request, isStopped: false });
  });
  document.addEventListener("htmx:after:sse:connection", ({ target }) => {
    if (target.matches(".ask")) show(target, true, "The answer is being written");
  });
  document.addEventListener("htmx:sse:close", ({ target, detail: { reason } }) => {
    if (!target.matches(".ask")) return;
    const isWhole = reason === "message", { isStopped } = forms.get(target);
    show(target, false, isWhole ? "Answer finished" : "", !isWhole && !isStopped);
  });
  document.addEventListener("click", ({ target }) => {
    const form = target.closest(".ask [data-stop]")?.form;
    if (!form) return;
    forms.get(form).isStopped = true;
    forms.get(form).request.abort();
  });
})();
