// Tabs of one browser in step: what one has changed the others show without a reload, at once where they are seen and
// else as soon as they are, as what has been done elsewhere. No request is made of a page at which nobody looks.
(() => {
  const LOOKED_AWAY_MS = 5_000;
  const tabs = new BroadcastChannel("chat");
  const isEnd = document.getElementById("composer").hasAttribute("hx-post"); // and not what was said earlier
  let isStale = false, isAsking = false, left = 0, steps = 0;

  const tell = () => tabs.postMessage("changed");
  // A change of this tab's own has two steps. A look that began before one of them may bring what was before the change.
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
    if (ctx.request.method === "POST") steps++;
  });
  document.addEventListener("htmx:before:response", ({ detail: { ctx } }) => {
    if (ctx.request.method !== "POST") return;
    steps++;
    if (ctx.response.raw.ok) tell();
  });
  // A conversation is begun with a page that is loaded.
  document.getElementById("composer").addEventListener("submit", () => sessionStorage.setItem("chat-begun", "1"));
  if (sessionStorage.getItem("chat-begun")) tell();
  sessionStorage.removeItem("chat-begun");

  tabs.addEventListener("message", () => {
    isStale = true;
    catchUp();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) left = Date.now();
    isStale ||= Date.now() - left > LOOKED_AWAY_MS;
    catchUp();
  });

  async function catchUp() {
    if (!isStale || isAsking || document.hidden) return;
    isStale = false;
    isAsking = true;
    const before = steps;
    try {
      const response = await fetch(location.href), text = await response.text();
      if (steps !== before) isStale = true;
      else if (response.ok && !response.redirected) show(new DOMParser().parseFromString(text, "text/html"));
      else if (response.status < 500) location.assign("/chat"); // it has been deleted, or who saw it has signed out
    } catch { /* there is no connection: the next look brings it */ }
    isAsking = false;
    catchUp();
  }

  function show(page) {
    const list = document.querySelector(".chat-periods"), newer = page.querySelector(".chat-periods"), top = list.scrollTop;
    if (!list.contains(document.activeElement)) {
      list.replaceWith(newer);
      newer.scrollTop = top;
    }
    for (const selector of ["title", ".chat-header h1"]) {
      const element = document.querySelector(selector), other = page.querySelector(selector);
      if (element && other && element.textContent !== other.textContent) element.replaceWith(other);
    }
    if (!isEnd) return;
    showMessages(page.getElementById("messages"));
    document.getElementById("marks").replaceChildren(...page.getElementById("marks").children);
    const stream = document.getElementById("stream"), text = page.getElementById("stream").innerHTML;
    // In place of the old one, so that htmx lets go of that.
    htmx.swap({ sourceElement: stream, target: stream, swap: "innerHTML", text });
  }

  // What this tab has asked for at the same time brings some of it again.
  document.addEventListener("htmx:after:swap", () => {
    const newest = new Map();
    for (const article of document.querySelectorAll("#messages > article")) {
      newest.get(article.id)?.remove();
      newest.set(article.id, article);
    }
  });

  // Earlier messages stay, and those that are as they were.
  function showMessages(other) {
    const messages = document.getElementById("messages"), found = [...other.querySelectorAll("article")];
    const first = found.find(({ id }) => document.getElementById(id));
    if (!first || first !== found[0]) {
      messages.replaceChildren(...other.children);
    } else {
      const ids = new Set(found.map(({ id }) => id));
      let place = document.getElementById(first.id);
      for (let old = place; old; old = old.nextElementSibling) if (!ids.has(old.id)) old.hidden = true;
      for (const article of found) {
        const old = document.getElementById(article.id);
        if (!old) place.after(article);
        else if (old.textContent !== article.textContent) old.replaceWith(article);
        place = document.getElementById(article.id);
      }
      for (const gone of messages.querySelectorAll("article[hidden]")) gone.remove();
    }
    htmx.process(messages);
  }
})();
