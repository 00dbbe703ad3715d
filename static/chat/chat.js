// Chat page: Enter sends the question, the page follows a growing answer unless the user scrolls up, keyboard and focus.
(() => {
  const composer = document.getElementById("composer");
  const content = document.getElementById("question");
  const nearEnd = () => document.documentElement.scrollHeight - innerHeight - scrollY < 80;
  let following = true;

  const toEnd = () => scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  addEventListener("scroll", () => { following = nearEnd(); }, { passive: true });
  new MutationObserver(() => { if (following) toEnd(); })
    .observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
  // Keep the head of an empty page, a linked message or a form error in view.
  if (location.hash || document.querySelector("#messages > .empty, .chat-options[open]")) following = false;
  else toEnd();

  // Keep the scroll position when earlier messages are inserted above.
  let anchor, top;
  document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
    if (ctx.sourceElement.id !== "earlier") return;
    anchor = ctx.sourceElement.nextElementSibling;
    top = anchor.getBoundingClientRect().top;
  });
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    if (ctx.sourceElement.id !== "earlier") return;
    scrollBy({ top: anchor.getBoundingClientRect().top - top, behavior: "instant" });
  });

  // Scroll the list to the open conversation.
  const list = document.querySelector(".chat-list");
  const current = list.querySelector("[aria-current]");
  const showCurrent = () => {
    const links = current?.closest(".chat-periods");
    links?.scrollTo({ top: current.offsetTop - (links.clientHeight - current.offsetHeight) / 2, behavior: "instant" });
  };
  list.addEventListener("toggle", showCurrent);
  showCurrent();

  // On touch screens, Enter inserts a new line, because there is no Shift+Enter; the button sends.
  const isTouched = matchMedia("(pointer: coarse)");
  content.enterKeyHint = isTouched.matches ? "enter" : "send";
  content.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isTouched.matches) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });

  // The button in the head shows the list, or hides it beside the conversation.
  const toggle = document.getElementById("chat-conversations"), isNarrow = matchMedia("(max-width: 767px)");
  toggle.addEventListener("click", () => {
    if (!isNarrow.matches) list.toggleAttribute("data-hidden");
    else if ((list.open = !list.open)) list.scrollIntoView({ block: "start" });
    toggle.setAttribute("aria-expanded", String(isNarrow.matches ? list.open : !list.hasAttribute("data-hidden")));
  });

  // Enter asks the edited question, Cancel closes it. Escape is below.
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches(".chat-edit textarea") || event.key !== "Enter" || event.shiftKey || event.isComposing || isTouched.matches) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });
  document.addEventListener("reset", ({ target }) => {
    const opened = target.closest(".chat-edit > details");
    if (!opened) return;
    opened.open = false;
    opened.querySelector("summary").focus();
    setTimeout(() => target.querySelector("textarea").dispatchEvent(new Event("input", { bubbles: true }))); // ends its draft
  });

  // "/" focuses the search, and opens the list on narrow pages.
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const search = document.getElementById("chat-query");
    list.open = true;
    list.removeAttribute("data-hidden");
    search.focus();
    search.select();
    event.preventDefault();
  });

  // Focus the field of an opened part. Escape closes the part instead of stopping an answer.
  document.addEventListener("toggle", ({ target }) => {
    if (!target.open) return;
    if (target.closest("#messages")) target.scrollIntoView({ block: "nearest" });
    if (target.matches(".chat-rename, .chat-edit > details")) target.querySelector("input:not([type=hidden]), textarea").focus();
    if (target.matches(".answer-rating > details")) target.querySelector("[name=note]").focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    const opened = event.key === "Escape" && !event.isComposing && event.target.closest("details[open]");
    if (!opened) return;
    event.preventDefault();
    if (opened.matches(".chat-edit > details")) return opened.querySelector("form").reset();
    opened.open = false;
    opened.querySelector("summary").focus();
  });

  // Close the menu after a click or focus outside, or on one of its links.
  for (const type of ["click", "focusin"]) document.addEventListener(type, ({ target }) => {
    const isLink = type === "click" && target.closest(".chat-menu a");
    for (const menu of document.querySelectorAll(":is(.chat-menu, .chat-popup)[open]")) {
      if (isLink || !menu.contains(target)) menu.open = false;
      if (isLink) menu.firstElementChild.focus();
    }
  });

  document.addEventListener("htmx:after:request", (event) => {
    const { raw } = event.detail.ctx.response;
    if (event.target === composer && raw.ok && !raw.redirected) {
      content.value = "";
      content.dispatchEvent(new Event("input", { bubbles: true })); // updates the counter of characters
      following = true;
      document.querySelector("#messages > .empty")?.remove();
    }
  });

  // The next question continues one of two answers: only that one stays.
  document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
    if (!ctx.sourceElement.matches("#composer, .chat-follow-ups") || !ctx.response?.raw.ok) return;
    document.querySelectorAll(".chat-unchosen").forEach((article) => article.remove());
    document.querySelector(".chat-column .chat-choice")?.remove();
    document.querySelector(".chat-column")?.classList.remove("chat-column");
  });

  document.addEventListener("answer:end", () => {
    document.querySelector("#refusal [data-until-answered]")?.remove();
    returnFocus();
  });

  // Restore the focus if its element was replaced (Send by Stop, or a message). On phones, do not open the keyboard.
  let focused, opener; // opener: id of the summary of the surrounding part
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
    else for (const id of ["send", "stop"]) document.getElementById(id).focus(); // only the visible one accepts it
  }
})();
