// What somebody has begun to write is there again after a reload: <textarea data-draft="<the user's id>:<place>">, until
// its form is sent. site.js forgets all of them when somebody signs out.
(() => {
  const field = document.querySelector("[data-draft]");
  const whose = `draft:${field.dataset.draft.split(":")[0]}:`, key = `draft:${field.dataset.draft}`;
  try {
    for (const other of Object.keys(localStorage)) { // of who was here before, and has not signed out
      if (other.startsWith("draft:") && !other.startsWith(whose)) localStorage.removeItem(other);
    }
    field.value ||= localStorage.getItem(key) ?? "";
  } catch { return; } // storage is forbidden
  field.setSelectionRange(field.value.length, field.value.length);

  const keep = () => {
    try {
      if (field.value.trim()) localStorage.setItem(key, field.value);
      else localStorage.removeItem(key);
    } catch { /* it is full */ }
  };
  field.addEventListener("input", keep);
  const sent = () => localStorage.removeItem(key);
  field.form.addEventListener("submit", () => { if (!field.form.hasAttribute("hx-post")) sent(); });
  document.addEventListener("htmx:after:request", ({ target, detail: { ctx } }) => {
    if (target === field.form && ctx.response.raw.ok) sent();
  });
})();
