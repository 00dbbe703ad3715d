// Keep drafts of <textarea data-draft="<user id>:<place>"> until the form is accepted. site.js deletes them at sign-out.
(() => {
  const field = document.querySelector("[data-draft]");
  const userPrefix = `draft:${field.dataset.draft.split(":")[0]}:`, key = `draft:${field.dataset.draft}`;
  try {
    for (const other of Object.keys(localStorage)) { // drafts of a former user who did not sign out
      if (other.startsWith("draft:") && !other.startsWith(userPrefix)) localStorage.removeItem(other);
    }
    // A form that loads a page was accepted if that page is another one. Otherwise it shows the text again.
    const sent = sessionStorage.getItem("sent-draft");
    sessionStorage.removeItem("sent-draft");
    if (sent && sent !== key) localStorage.removeItem(sent);
    field.value ||= localStorage.getItem(key) ?? "";
    field.dispatchEvent(new Event("input", { bubbles: true })); // updates the counter of characters
  } catch { return; } // storage is forbidden
  field.setSelectionRange(field.value.length, field.value.length);

  const saveDraft = () => {
    try {
      if (field.value.trim()) localStorage.setItem(key, field.value);
      else localStorage.removeItem(key);
    } catch { /* storage is full */ }
  };
  field.addEventListener("input", saveDraft);
  field.form.addEventListener("submit", () => {
    if (!field.form.hasAttribute("hx-post")) sessionStorage.setItem("sent-draft", key);
  });
  document.addEventListener("htmx:after:request", ({ target, detail: { ctx } }) => {
    // The sign-in page, to which a request was redirected, is also `ok`.
    if (target === field.form && ctx.response.raw.ok && !ctx.response.raw.redirected) localStorage.removeItem(key);
  });
})();
