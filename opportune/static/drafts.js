// Keep what a user types into forms that post, in this browser, until the server has accepted it. site.js loads this script,
// and deletes drafts at sign-out. `data-no-draft` leaves out a form or a field.
const user = document.querySelector("meta[name=form-user]").content.split("-")[0];
const prefix = `draft:${user}:`;
const visit = performance.getEntriesByType("navigation")[0];
const TEXTS = "textarea, input:is(:not([type]), [type=text], [type=search], [type=url], [type=tel], [type=email], [type=number])";
const FIELDS = `${TEXTS}, select, input:is([type^=date], [type=time], [type=checkbox], [type=radio])`;
const SECRET = /password|secret|token|^code$/i;

const isKept = (field) => field.name && field.matches(FIELDS) && !SECRET.test(field.name) && !field.closest("[data-no-draft]");
const keepsDraft = (form) => form?.getAttribute("method")?.toLowerCase() === "post" && !form.closest("td, [data-no-draft]") && !form.querySelector("[type=password]");
const keyOf = (form) => `${prefix}${location.pathname} ${form.getAttribute("action") ?? ""}`;
const isBox = ({ type }) => type === "checkbox" || type === "radio";
const isMany = ({ type }) => type === "select-multiple";
const textOf = (options) => JSON.stringify([...options].map(({ value, text }) => [value, text]));
const valueOf = (field) => isBox(field) ? field.checked : isMany(field) ? textOf(field.selectedOptions) : field.value;
const defaultOf = (field) => {
  if (isBox(field)) return field.defaultChecked;
  if (isMany(field)) return textOf([...field.options].filter((option) => option.defaultSelected));
  if (field.options) return ([...field.options].find((option) => option.defaultSelected) ?? field.options[0])?.value ?? "";
  return field.defaultValue;
};
const fieldsOf = (form) => {
  const counts = {};
  return [...form.elements].filter(isKept).map((field) => [`${field.name} ${counts[field.name] = (counts[field.name] ?? 0) + 1}`, field]);
};
const setValue = (field, value, text) => {
  if (field.options) { // a picker has only the selected rows
    const selected = new Map(isMany(field) ? JSON.parse(value) : [[value, text]]);
    const missing = [...selected].filter(([id]) => ![...field.options].some((option) => option.value === id));
    field.append(...missing.map(([id, label]) => new Option(label ?? "", id)));
    for (const option of field.options) option.selected = selected.has(option.value);
  } else isBox(field) ? field.checked = value : field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true })); // updates the counter of characters
  if (field === document.activeElement && field.matches("textarea")) field.setSelectionRange(value.length, value.length);
};

// Before this script was loaded. After Back or Reload, the browser fills the fields itself.
const wasTyped = (field) => visit?.type === "navigate" && field.matches(TEXTS) && valueOf(field) !== defaultOf(field);

// Values of the saved row by field. A form with errors has those that the server has refused.
const bases = new WeakMap();
const baseOf = (form, name, field) => bases.get(form)?.get(name) ?? defaultOf(field);

const notes = new WeakMap();
const showNote = (form, text, action, act) => {
  if (!notes.has(form)) {
    const note = Object.assign(document.createElement("p"), { className: "draft-note" });
    note.setAttribute("role", "status");
    notes.set(form, note);
  }
  const note = notes.get(form);
  if (!note.isConnected) (form.querySelector("[data-draft-note]") ?? form.querySelector(".card-body") ?? form).append(note);
  if (note.firstChild?.textContent === text) return;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: action, onclick: act });
  note.replaceChildren(Object.assign(document.createElement("span"), { textContent: text }), button);
};
const forget = (form, key = keyOf(form)) => {
  localStorage.removeItem(key);
  notes.get(form)?.remove();
};
const discard = (form) => {
  for (const [name, field] of fieldsOf(form)) if (valueOf(field) !== baseOf(form, name, field)) setValue(field, baseOf(form, name, field));
  forget(form);
};
const showKept = (form, text) => showNote(form, text, gettext("Discard"), () => discard(form));

const save = (form) => {
  const changes = fieldsOf(form).filter(([name, field]) => valueOf(field) !== baseOf(form, name, field));
  if (!changes.length) return forget(form);
  const files = [...form.querySelectorAll("[type=file]")].flatMap((field) => [...field.files].map(({ name }) => name));
  const fields = changes.map(([name, field]) => [name, baseOf(form, name, field), valueOf(field), field.selectedOptions?.[0]?.text]);
  localStorage.setItem(keyOf(form), JSON.stringify({ fields, files }));
  showKept(form, gettext("Draft kept in this browser."));
};

const seen = new WeakSet();
const restore = (form) => {
  if (seen.has(form) || !keepsDraft(form)) return;
  seen.add(form);
  const draft = JSON.parse(localStorage.getItem(keyOf(form)) ?? "null");
  if (!draft) return;
  form.dispatchEvent(new CustomEvent("draft:open", { detail: draft.fields.map(([name]) => name) })); // adds lines of inlines
  const fields = new Map(fieldsOf(form));
  const waiting = draft.fields.map(([name, ...values]) => [fields.get(name), ...values]).filter(([field, , value]) => field && valueOf(field) !== value);
  const insert = (changes) => { for (const [field, , value, text] of changes) setValue(field, value, text); };
  const { files } = draft; // inserting saves the draft without them
  if (!draft.fields.some(([name]) => fields.has(name))) return; // of another form with the same action
  const isStale = waiting.some(([field, base]) => defaultOf(field) !== base);
  const offer = (text) => showNote(form, text, gettext("Insert it"), () => insert(waiting));
  if (isStale) return offer(gettext("The saved text has changed since. Your draft is still kept."));
  if (waiting.some(([field]) => wasTyped(field))) return offer(gettext("You have typed another text. Your draft is still kept."));
  bases.set(form, new Map(draft.fields));
  insert(waiting);
  showKept(form, files.length ? gettext("Your draft is here again. Choose the files again: %(names)s.", { names: files.join(", ") }) : waiting.length ? gettext("Your draft is here again.") : gettext("Draft kept in this browser."));
};

try {
  for (const other of Object.keys(localStorage)) { // drafts of a former user who did not sign out
    if (other.startsWith("draft:") && !other.startsWith(prefix)) localStorage.removeItem(other);
  }
  // A form that loaded a page was accepted, unless the page is an error, shows the form with errors, or came by Back. After
  // a lost connection the user opens a page without a referrer.
  const sent = sessionStorage.getItem("sent-draft");
  sessionStorage.removeItem("sent-draft");
  const failed = !document.referrer || visit?.type !== "navigate" || visit.responseStatus >= 400 || document.querySelector("[data-error], #kept-form, main form :is(.is-invalid, .alert-danger)");
  if (sent && !failed) localStorage.removeItem(sent);

  const isTyped = (form) => keepsDraft(form) && !localStorage.getItem(keyOf(form)) && fieldsOf(form).some(([, field]) => wasTyped(field));
  for (const form of document.forms) {
    restore(form);
    if (isTyped(form)) save(form);
  }
  document.addEventListener("htmx:after:swap", () => { for (const form of document.forms) restore(form); });
  document.addEventListener("input", ({ target }) => {
    const { form } = target;
    if (form && keepsDraft(form) && isKept(target) && (target.matches(TEXTS) || localStorage.getItem(keyOf(form)))) save(form);
  });
  window.addEventListener("submit", ({ target, defaultPrevented }) => {
    if (!defaultPrevented && keepsDraft(target) && localStorage.getItem(keyOf(target))) sessionStorage.setItem("sent-draft", keyOf(target));
  });
  document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    const { form, method } = ctx.request;
    // The sign-in page, to which a request was redirected, is also `ok`.
    if (form && method !== "GET" && keepsDraft(form) && ctx.response.raw.ok && !ctx.response.raw.redirected) forget(form);
  });
} catch { /* storage is forbidden or full */ }
