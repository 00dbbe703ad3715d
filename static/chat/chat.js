// Enter sends where there is a keyboard, and the page follows the answer as long as its reader has not scrolled up.
(() => {
  const composer = document.getElementById("composer");
  const content = document.getElementById("question");
  const nearEnd = () => document.documentElement.scrollHeight - innerHeight - scrollY < 80;
  let following = true;

  const toEnd = () => scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  addEventListener("scroll", () => { following = nearEnd(); }, { passive: true });
  new MutationObserver(() => { if (following) toEnd(); })
    .observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
  if (location.hash || document.querySelector(".chat-options[open]")) following = false; // a message, or what is wrong
  else toEnd();

  // Earlier messages come in above what is being read, which stays where it is.
  let kept, top;
  document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
    if (ctx.sourceElement.id !== "earlier") return;
    kept = ctx.sourceElement.nextElementSibling;
    top = kept.getBoundingClientRect().top;
  });
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    if (ctx.sourceElement.id !== "earlier") return;
    scrollBy({ top: kept.getBoundingClientRect().top - top, behavior: "instant" });
  });

  // The list, where it is opened or shown beside, shows the conversation that is open.
  const list = document.querySelector(".chat-list");
  const current = list.querySelector("[aria-current]");
  const showCurrent = () => {
    const links = current?.closest(".chat-periods");
    links?.scrollTo({ top: current.offsetTop - (links.clientHeight - current.offsetHeight) / 2, behavior: "instant" });
  };
  list.addEventListener("toggle", showCurrent);
  showCurrent();

  // On a touch screen Enter writes a new line: its keyboard has no Shift+Enter, and the button sends.
  const isTouched = matchMedia("(pointer: coarse)");
  content.enterKeyHint = isTouched.matches ? "enter" : "send";
  content.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isTouched.matches) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });

  // "/" goes to the search, which shows that key. On a narrow page the list is opened for it.
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const search = document.getElementById("chat-query");
    list.open = true;
    search.focus();
    search.select();
    event.preventDefault();
  });

  // What is opened has the focus; Esc closes it, before it stops an answer.
  document.addEventListener("toggle", ({ target }) => {
    if (!target.open) return;
    if (target.closest("#messages")) target.scrollIntoView({ block: "nearest" });
    if (target.matches(".chat-rename, .chat-edit > details")) target.querySelector("input, textarea").focus();
    if (target.matches(".answer-rating > details")) target.querySelector("[name=note]").focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    const opened = event.key === "Escape" && !event.isComposing && event.target.closest("details[open]");
    if (!opened) return;
    event.preventDefault();
    opened.open = false;
    opened.querySelector("summary").focus();
  });

  // The menu closes as soon as something else is meant.
  for (const type of ["click", "focusin"]) document.addEventListener(type, ({ target }) => {
    const menu = document.querySelector(".chat-menu[open]");
    const isChosen = type === "click" && target.closest(".chat-menu a");
    if (menu && (isChosen || !menu.contains(target))) menu.open = false;
    if (isChosen) menu.firstElementChild.focus();
  });

  document.addEventListener("htmx:after:request", (event) => {
    if (event.target === composer && event.detail.ctx.response.raw.ok) {
      content.value = "";
      following = true;
      document.querySelector("#messages > .empty")?.remove();
    }
  });

  document.addEventListener("answer:end", () => {
    document.querySelector("#refusal [data-until-answered]")?.remove();
    returnFocus();
  });

  // What had the focus has gone: Send has become Stop, or another message is there. On a phone the keyboard stays away.
  let focused, opener; // and what has opened the part in which it is
  document.addEventListener("focusin", ({ target }) => {
    focused = target;
    opener = target.closest("details")?.querySelector("summary").id;
  });
  document.addEventListener("htmx:after:swap", returnFocus);
  function returnFocus() {
    if (!focused || (focused.isConnected && focused.checkVisibility())) return;
    focused = null;
    const summary = document.getElementById(opener);
    if (summary) summary.focus();
    else if (matchMedia("(hover: hover)").matches) content.focus({ preventScroll: true });
    else for (const id of ["send", "stop"]) document.getElementById(id).focus(); // the one that is shown
  }
})();
