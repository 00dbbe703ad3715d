// Scripts of every page of the site and the admin.

// A cookie with the visitor's time zone, such as Europe/Vienna, if it differs from that of the site.
(() => {
  const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  const storedZone = document.cookie.match(/(?:^|; )time_zone=([^;]*)/)?.[1] ?? "";
  const newZone = browserZone === document.documentElement.dataset.timeZone ? "" : browserZone;
  if (storedZone === newZone) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `time_zone=${newZone}; Path=/; SameSite=Lax; Max-Age=${newZone ? 31536000 : 0}${secure}`;
})();

// htmx requested a part and received a page, such as an error or another location. Show it as a page.
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (!/^\s*<(!doctype )?html/i.test(ctx.text)) return;
  ctx.target = document.body;
  ctx.swap = "outerSync";
  // The URL of a failed form cannot be reloaded.
  if (!ctx.response.raw.redirected) ctx.push = ctx.replace = "false";
});

// No response. Aborted requests are not reported.
const unreachable = (hidden) => document.getElementById("unreachable")?.toggleAttribute("hidden", hidden);
document.addEventListener("htmx:error", ({ detail: { error } }) => {
  if (error instanceof TypeError) unreachable(false);
});
document.addEventListener("htmx:before:response", () => unreachable(true));

// Error pages of a proxy lack the request id of the site. They count as no response.
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const { fetch } = ctx;
  ctx.fetch = async (...request) => {
    const response = await fetch(...request);
    if (response.status >= 500 && !response.headers.has("X-Request-ID")) throw new TypeError(`status ${response.status}`);
    return response;
  };
});

// Without a network, the browser's own page would replace a form that loads a page. A site on this computer still responds.
const { src: siteScript } = document.currentScript;
let reachableForm;
window.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || navigator.onLine || form.method === "dialog" || reachableForm === form) return;
  event.preventDefault();
  fetch(siteScript, { method: "HEAD", cache: "no-store" }).then(() => {
    reachableForm = form;
    form.requestSubmit(submitter);
  }, () => unreachable(false));
});

// htmx loses track of a request that replaced another, so the next one would not abort it.
const newest = new WeakMap();
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (ctx.queueStrategy !== "replace") return;
  newest.get(ctx.sourceElement)?.request.abort();
  newest.set(ctx.sourceElement, ctx);
});

// Refuse large files before sending, because the server would refuse the whole form.
document.addEventListener("change", ({ target }) => {
  if (target.type !== "file") return;
  const { largest, tooLarge } = target.dataset;
  target.setCustomValidity([...target.files].some(({ size }) => size > largest) ? tooLarge : "");
  target.reportValidity();
});

// Texts longer than data-maxlength stay whole, and cannot be sent. A counter appears near the limit.
(() => {
  const SHOW_FROM = 0.8;
  const number = (count) => count.toLocaleString(document.documentElement.lang);
  const counters = new WeakMap();
  const check = (field) => {
    const limit = Number(field.dataset.maxlength);
    const length = field.value.length > limit / 2 ? [...field.value].length : 0; // as the server counts
    const values = { length: number(length), limit: number(limit) };
    field.setCustomValidity(length > limit ? gettext("This has %(length)s characters. At most %(limit)s can be sent, so please shorten it.", values) : "");
    if (!counters.has(field) && length < limit * SHOW_FROM) return;
    if (!counters.get(field)?.isConnected) {
      const counter = Object.assign(document.createElement("small"), { className: "form-hint d-block mt-1" });
      counter.setAttribute("role", "status");
      (field.closest(".input-group, show-password, [data-counter-below]") ?? field).after(counter);
      counters.set(field, counter);
    }
    const counter = counters.get(field);
    counter.hidden = length < limit * SHOW_FROM;
    counter.classList.toggle("text-danger", length > limit);
    counter.textContent = gettext("%(length)s of %(limit)s characters", values);
  };
  const checkAll = (root) => { for (const field of root.querySelectorAll("[data-maxlength]")) check(field); };
  document.addEventListener("input", ({ target }) => { if (target.matches("[data-maxlength]")) check(target); });
  document.addEventListener("htmx:after:swap", () => checkAll(document));
  checkAll(document);
})();

// Requests without a form say for which user this page was rendered.
document.addEventListener("htmx:config:request", ({ detail: { ctx: { request } } }) => {
  const mark = document.querySelector("meta[name=form-user]")?.content;
  if (mark && request.method !== "GET" && !request.body?.has?.("form_user")) request.headers["Form-User"] = mark;
});

// Leave empty fields out of URLs.
document.addEventListener("htmx:config:request", ({ detail: { ctx: { request } } }) => {
  if (request.method !== "GET" || !request.body) return;
  for (const [name, value] of [...request.body]) {
    if (value === "" && request.body.getAll(name).length === 1) request.body.delete(name);
  }
});

// Drafts of forms with texts: drafts.js.
(() => {
  const address = document.querySelector("meta[name=form-user]")?.dataset.drafts;
  const TEXT = "textarea, input:not([type]), input[type=text], input[type=email], input[type=number]";
  const hasForm = () => [...document.querySelectorAll(TEXT)].some(({ form }) => form?.getAttribute("method")?.toLowerCase() === "post");
  let isLoaded = false;
  const load = () => {
    if (isLoaded || !address || !(hasForm() || window.sessionStorage?.getItem("sent-draft"))) return;
    isLoaded = true;
    import(address);
  };
  load();
  document.addEventListener("htmx:after:swap", load);
})();

// Signing out removes drafts (drafts.js), also in browsers that ignore Clear-Site-Data, as they do without TLS.
document.addEventListener("submit", ({ target }) => {
  if (!/\/accounts\/(logout|sessions\/end-all|data\/delete)$/.test(target.getAttribute("action"))) return;
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("draft:")) localStorage.removeItem(key);
  } catch { /* storage is forbidden */ }
});

// Loading indicator: a bar above the page, and the pressed buttons are disabled and busy.
(() => {
  const SHOW_AFTER_MS = 200;
  const FREE_AFTER_MS = 30_000; // downloads trigger no event
  const FREE_AFTER_DOWNLOAD_MS = 3_000;

  const bar = Object.assign(document.createElement("div"), { className: "loading-bar", hidden: true });
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", gettext("Loading"));
  const waiting = new Set();
  let timer;
  const start = (reason, freeAfter) => {
    waiting.add(reason);
    if (!bar.isConnected) (document.querySelector("main") ?? document.body).append(bar);
    timer ??= setTimeout(() => { bar.hidden = false; }, SHOW_AFTER_MS);
    if (freeAfter) setTimeout(finish, freeAfter, reason);
  };
  const finish = (reason) => {
    waiting.delete(reason);
    if (waiting.size) return;
    clearTimeout(timer);
    timer = undefined;
    bar.hidden = true;
  };

  const busyForms = new Map();
  const disable = (form, submitter) => {
    if (busyForms.has(form)) return;
    const buttons = [...form.elements].filter((field) => field.matches("button, input[type=submit]") && field.type === "submit" && !field.disabled);
    const pressed = submitter ?? buttons[0];
    const focused = document.activeElement;
    busyForms.set(form, { buttons, pressed, focused });
    for (const button of buttons) button.disabled = true;
    pressed?.setAttribute("aria-busy", "true");
  };
  const enable = (form) => {
    const { buttons, pressed, focused } = busyForms.get(form) ?? {};
    if (!busyForms.delete(form)) return;
    for (const button of buttons) button.disabled = false;
    pressed?.removeAttribute("aria-busy");
    if (!buttons.includes(focused) || document.activeElement !== document.body) return;
    focusedId = focused.id;
    focused.isConnected ? focused.focus() : refocus();
  };
  // A swap that began before the form was enabled may still replace the button that had the focus.
  let focusedId;
  const refocus = () => { if (focusedId && document.activeElement === document.body) document.getElementById(focusedId)?.focus(); };
  document.addEventListener("focusin", ({ target }) => { if (target.id !== focusedId) focusedId = undefined; });

  // Forms and links that load a page. Others have prevented the event by now.
  window.addEventListener("submit", (event) => {
    const form = event.target, { submitter } = event;
    const method = submitter?.getAttribute("formmethod") ?? form.getAttribute("method") ?? "get";
    const target = submitter?.formTarget || form.target || "_self";
    if (busyForms.has(form)) event.preventDefault();
    if (event.defaultPrevented || target !== "_self" || method === "dialog") return;
    const freeAfter = form.matches("[data-download]") ? FREE_AFTER_DOWNLOAD_MS : FREE_AFTER_MS;
    setTimeout(() => { // other listeners may still prevent it, and the browser reads the pressed button's value first
      if (event.defaultPrevented) return;
      start(form, freeAfter);
      if (method.toLowerCase() !== "post") return;
      disable(form, submitter);
      setTimeout(enable, freeAfter, form);
    });
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const leavesPage = link.protocol.startsWith("http") && link.href.split("#")[0] !== location.href.split("#")[0];
    if (leavesPage && ["", "_self"].includes(link.target) && !link.matches("[download], [data-download]")) start(link, FREE_AFTER_MS);
  });
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    for (const reason of waiting) finish(reason);
    for (const form of [...busyForms.keys()]) enable(form);
  });

  // Elements that responses will fill. Screen readers wait for them, and motion.css shows lines in empty ones.
  const filled = new Map();
  const fill = (ctx) => {
    if (!(ctx.target instanceof Element) || ctx.target === document.body || ctx.swap === "none") return;
    filled.set(ctx, ctx.target);
    ctx.target.setAttribute("aria-busy", "true");
  };
  const settle = (ctx) => {
    const target = filled.get(ctx);
    filled.delete(ctx);
    if (target && ![...filled.values()].includes(target)) target.removeAttribute("aria-busy");
  };

  // Requests of htmx. A form whose next request replaces the running one stays enabled.
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
    start(ctx);
    fill(ctx);
    const { form, method, submitter } = ctx.request;
    if (form && method === "POST" && ctx.queueStrategy !== "replace") disable(form, submitter);
  });
  document.addEventListener("htmx:before:response", ({ detail: { ctx } }) => {
    if (!ctx.response.headers.get("Content-Type")?.startsWith("text/event-stream")) return;
    finish(ctx);
    settle(ctx);
  });
  const loadsPage = ({ hx }) => Boolean(hx?.redirect || hx?.refresh);
  document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    const { form } = ctx.request;
    if (!form || loadsPage(ctx)) return;
    enable(form); // before the swap: htmx keeps the focus where it is then
    if (!ctx.response.raw.ok) return;
    renewToken(form);
    if (ctx.request.method !== "GET") document.querySelector("#kept-form:not(:has(textarea))")?.remove(); // it is saved now
  });
  // Another response may replace a busy form: htmx looks for the focus then, but a disabled button has none.
  document.addEventListener("htmx:after:swap", () => {
    for (const form of [...busyForms.keys()]) if (!form.isConnected) enable(form);
    refocus();
  });
  document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
    settle(ctx);
    if (loadsPage(ctx)) return;
    finish(ctx);
    if (ctx.request.form) enable(ctx.request.form);
  });

  // The form stays on the page and gets a new token for the next submission.
  const renewToken = (form) => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const token = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    for (const field of form.querySelectorAll("input[name=form_token]")) field.value = token;
  };
})();

// Entries of the menu that do not fit beside the logo and the tools move into "More".
(() => {
  const fit = () => {
    const menu = document.getElementById("menu"), more = document.getElementById("menu-more");
    if (!more) return;
    const list = menu.firstElementChild, rest = more.querySelector("ul");
    const move = (link, from, to) => link.classList.replace(from, to);
    for (const entry of [...rest.children]) {
      move(entry.firstElementChild, "dropdown-item", "nav-link");
      list.append(entry);
    }
    more.hidden = true;
    if (getComputedStyle(list).flexDirection === "column") return; // a phone or a side bar
    if (menu.matches(":popover-open")) menu.hidePopover(); // the window was narrow
    const overflows = () => {
      const box = list.getBoundingClientRect(), entry = list.lastElementChild?.getBoundingClientRect();
      return entry && (entry.top >= box.bottom - 1 || entry.right > box.right + 1 || entry.left < box.left - 1);
    };
    while (overflows()) {
      more.hidden = false;
      move(list.lastElementChild.firstElementChild, "nav-link", "dropdown-item");
      rest.prepend(list.lastElementChild);
    }
    more.classList.toggle("active", rest.querySelector("[aria-current]") !== null);
  };
  const resized = new ResizeObserver(fit);
  const observe = () => {
    const menu = document.getElementById("menu");
    if (menu) resized.observe(menu); // calls `fit` as well
  };
  document.addEventListener("htmx:after:swap", ({ target }) => { if (target === document.body) observe(); });
  document.fonts.ready.then(fit);
  observe();
})();

// Menus of the header close on Esc, and when the user clicks or moves the focus elsewhere.
(() => {
  const close = (isKept) => {
    for (const menu of document.querySelectorAll("details.dropdown[open]")) if (!isKept(menu)) menu.open = false;
  };
  for (const type of ["click", "focusin"]) document.addEventListener(type, ({ target }) => close((menu) => menu.contains(target)));
  document.addEventListener("keydown", ({ key, target }) => {
    if (key !== "Escape") return;
    target.closest?.("details.dropdown[open]")?.querySelector("summary").focus();
    close(() => false);
  });
})();

// Bootstrap's script, for pages of a project that use its other components.
(() => {
  const { bootstrap } = document.currentScript.dataset;
  const USES = ["toggle", "ride", "spy", "dismiss=modal", "dismiss=offcanvas"].map((name) => `[data-bs-${name}]`).join();
  const load = () => {
    if (!bootstrap || !document.querySelector(USES)) return;
    document.removeEventListener("htmx:after:swap", load);
    document.head.append(Object.assign(document.createElement("script"), { src: bootstrap }));
  };
  document.addEventListener("htmx:after:swap", load);
  load();
})();

// Buttons that close their message.
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-bs-dismiss='alert'], [data-bs-dismiss='toast']");
  button?.closest(`.${button.dataset.bsDismiss}`)?.remove();
});

// Ctrl-K or ⌘K opens the command palette. Its script is loaded then.
(() => {
  const opener = document.getElementById("palette-open");
  if (!opener) return;
  let palette;
  let typed; // the text that is typed until the palette is open
  const open = async (event) => {
    event.preventDefault();
    typed = "";
    palette ??= import(opener.dataset.script).then(({ makePalette }) => makePalette(opener));
    await palette.then((toggle) => toggle(() => typed), () => location.assign(opener.href));
    typed = undefined;
  };
  opener.addEventListener("click", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) open(event);
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key === "k") return open(event);
    if (typed === undefined || event.ctrlKey || event.metaKey || event.altKey || event.key.length > 1) return;
    typed += event.key;
    event.preventDefault(); // also for shortcuts of the admin
  });
})();
