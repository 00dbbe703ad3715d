// The command palette. site.js loads this module when the palette is first opened.
export const makePalette = (opener) => {
  const dialog = Object.assign(document.createElement("dialog"), { className: "palette", ariaLabel: gettext("Search") });
  const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: opener.dataset.sheet });
  const isStyled = new Promise((resolve) => { sheet.onload = sheet.onerror = resolve; });
  document.head.append(sheet);
  document.body.append(dialog);
  const part = (role) => dialog.querySelector(`[role=${role}]`);
  const options = () => [...dialog.querySelectorAll("[role=option]")];
  const selected = () => dialog.querySelector("[aria-selected=true]");
  let request, timer, loading;

  const select = (option) => {
    for (const other of options()) other.setAttribute("aria-selected", other === option);
    part("combobox").setAttribute("aria-activedescendant", option?.id ?? "");
    option?.scrollIntoView({ block: "nearest" });
  };

  const load = async (query) => {
    request?.abort();
    request = new AbortController();
    const parameters = new URLSearchParams({ q: query, at: location.pathname });
    const response = await fetch(`${opener.href}?${parameters}`, { headers: { "HX-Request-Type": "partial" }, signal: request.signal });
    if (response.redirected) location.assign(opener.href); // to sign in again
    if (!response.ok) throw new Error(response.status === 429 ? gettext("Too many searches. Try again in a minute.") : "");
    return new DOMParser().parseFromString(await response.text(), "text/html");
  };

  const update = async () => {
    timer = clearTimeout(timer);
    part("listbox").setAttribute("aria-busy", "true");
    try {
      const page = await load(part("combobox").value);
      for (const role of ["listbox", "status"]) part(role).replaceChildren(...page.querySelector(`[role=${role}]`).childNodes);
    } catch (error) {
      if (error.name === "AbortError") return loading; // of the newer request
      part("listbox").replaceChildren();
      part("status").textContent = error.message || gettext("The server does not respond.");
    }
    part("listbox").removeAttribute("aria-busy");
    part("listbox").hidden = !options().length;
    part("combobox").setAttribute("aria-expanded", options().length > 0);
    select(options()[0]);
  };

  const toggle = async (typed) => {
    if (dialog.open) return dialog.close();
    dialog.replaceChildren(); // motion.css shows lines in an empty dialog
    dialog.setAttribute("aria-busy", "true");
    const page = load("");
    await Promise.all([isStyled, Promise.race([page.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 150))])]);
    dialog.showModal();
    try {
      dialog.replaceChildren(...(await page).body.children);
    } catch { return location.assign(opener.href); }
    dialog.removeAttribute("aria-busy");
    const input = part("combobox");
    input.focus();
    select(options()[0]);
    if (!(input.value = typed())) return;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };

  dialog.addEventListener("input", () => {
    clearTimeout(timer);
    loading = new Promise((resolve) => { timer = setTimeout(() => resolve(update()), 150); });
  });
  dialog.addEventListener("keydown", async (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.isComposing || !(step || event.key === "Enter")) return;
    event.preventDefault();
    const entries = options();
    if (step) return select(entries.at((entries.indexOf(selected()) + step) % entries.length));
    await (timer ? update() : loading);
    selected()?.click();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
    const control = event.target.closest("[role=option]")?.getAttribute("href");
    if (!control?.startsWith("#")) return;
    event.preventDefault();
    dialog.close();
    document.querySelector(control)?.click();
  });
  return toggle;
};
