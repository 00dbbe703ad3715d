// Answers streamed into the page (ask_form of macros/answer.html): the Stop button and a message after an interruption.
(() => {
  const forms = new WeakMap(); // request of each form, and whether the user has stopped it
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
    if (target.matches(".ask")) show(target, true, gettext("The answer is being written"));
  });
  document.addEventListener("htmx:sse:close", ({ target, detail: { reason } }) => {
    if (!target.matches(".ask")) return;
    const isComplete = reason === "message", { isStopped } = forms.get(target);
    show(target, false, isComplete ? gettext("Answer finished") : "", !isComplete && !isStopped);
  });
  document.addEventListener("click", ({ target }) => {
    const form = target.closest(".ask [data-stop]")?.form;
    if (!form) return;
    forms.get(form).isStopped = true;
    forms.get(form).request.abort();
  });
})();
