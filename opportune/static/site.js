// A whole page came where htmx asked for a part: an error, or somewhere else to go. Show it as a page.
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (!/^\s*<!doctype html/i.test(ctx.text)) return;
  ctx.target = document.body;
  ctx.swap = "outerSync";
  // The address of a form that failed is no page to load again.
  if (!ctx.response.raw.redirected) ctx.push = ctx.replace = "false";
});

// Nothing came at all. An aborted request is none of the visitor's business.
const unreachable = (hidden) => { document.getElementById("unreachable").hidden = hidden; };
document.addEventListener("htmx:error", ({ detail: { error } }) => {
  if (error instanceof TypeError) unreachable(false);
});
document.addEventListener("htmx:before:response", () => unreachable(true));

// A question before a request is a dialog of the page. Esc and Cancel drop the request.
document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm) return;
  event.preventDefault();
  const dialog = Object.assign(document.createElement("dialog"), { className: "confirm" });
  const form = Object.assign(document.createElement("form"), { method: "dialog", className: "card" });
  const question = Object.assign(document.createElement("p"), { className: "card-body mb-0", id: "confirm-question", textContent: ctx.confirm });
  const buttons = Object.assign(document.createElement("div"), { className: "card-footer d-flex gap-2 justify-content-end" });
  const cancel = Object.assign(document.createElement("button"), { className: "btn", value: "", textContent: "Cancel", autofocus: true });
  const confirm = Object.assign(document.createElement("button"), { className: "btn btn-danger", value: "yes", textContent: "Yes" });
  buttons.append(cancel, confirm);
  form.append(question, buttons);
  dialog.append(form);
  dialog.setAttribute("aria-labelledby", question.id);
  const opener = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener?.focus();
    if (dialog.returnValue) issueRequest();
    else dropRequest();
  });
  (document.querySelector("main") ?? document.body).append(dialog);
  dialog.showModal();
});

// htmx forgets a request that has replaced another: the next would not stop it, and its answer could come last.
const newest = new WeakMap();
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (ctx.queueStrategy !== "replace") return;
  newest.get(ctx.sourceElement)?.request.abort();
  newest.set(ctx.sourceElement, ctx);
});

// Too large a file is refused before it is sent: the whole request would be, with all that was typed.
document.addEventListener("change", ({ target }) => {
  if (target.type !== "file") return;
  const { largest, tooLarge } = target.dataset;
  target.setCustomValidity([...target.files].some(({ size }) => size > largest) ? tooLarge : "");
  target.reportValidity();
});

// What nobody filled in makes addresses long and says nothing.
document.addEventListener("htmx:config:request", ({ detail: { ctx: { request } } }) => {
  if (request.method !== "GET" || !request.body) return;
  for (const [name, value] of [...request.body]) {
    if (value === "" && request.body.getAll(name).length === 1) request.body.delete(name);
  }
});

// Signing out removes drafts (drafts.js), also in browsers that ignore Clear-Site-Data, as they do without TLS.
document.addEventListener("submit", ({ target }) => {
  if (!/^\/accounts\/(logout|sessions\/end-all|data\/delete)$/.test(target.getAttribute("action"))) return;
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("draft:")) localStorage.removeItem(key);
  } catch { /* storage is forbidden */ }
});
