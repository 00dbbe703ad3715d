// Synchronization of tabs: visible tabs show changes of others without a reload, hidden ones when they become visible.
// A tab that was hidden for a while also loads changes of other browsers. Hidden tabs send no requests.
(() => {
  const MAX_HIDDEN_MS = 5_000;
  const tabs = new BroadcastChannel("chat");
  const isEnd = document.getElementById("composer").hasAttribute("hx-post"); // not a page of earlier messages
  let isStale = false, isFetching = false, hiddenAt = 0, steps = 0;

  const notify = () => tabs.postMessage("changed");
  // Requests and responses of changes in this tab. A page fetched before one of them may be outdated.
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
    if (ctx.request.method === "POST") steps++;
  });
  document.addEventListener("htmx:before:response", ({ detail: { ctx } }) => {
    if (ctx.request.method !== "POST") return;
    steps++;
    if (ctx.response.raw.ok) notify();
  });
  // A new conversation loads a page.
  document.getElementById("composer").addEventListener("submit", () => sessionStorage.setItem("chat-begun", "1"));
  if (sessionStorage.getItem("chat-begun")) notify();
  sessionStorage.removeItem("chat-begun");

  tabs.addEventListener("message", () => {
    isStale = true;
    catchUp();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = Date.now();
    isStale ||= Date.now() - hiddenAt > MAX_HIDDEN_MS;
    catchUp();
  });

  async function catchUp() {
    if (!isStale || isFetching || document.hidden) return;
    isStale = false;
    isFetching = true;
    const before = steps;
    try {
      const response = await fetch(location.href), text = await response.text();
      if (steps !== before) isStale = true;
      else if (response.ok && !response.redirected) show(new DOMParser().parseFromString(text, "text/html"));
      else if (response.status < 500) location.assign(document.getElementById("chat-new").href); // deleted, or signed out
    } catch { /* no connection: try again with the next event */ }
    isFetching = false;
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
    for (const id of ["marks", "follow-ups"]) document.getElementById(id).replaceChildren(...page.getElementById(id).children);
    htmx.process(document.getElementById("follow-ups"));
    const stream = document.getElementById("stream"), text = page.getElementById("stream").innerHTML;
    // Replace the element, so that htmx forgets the old connection.
    htmx.swap({ sourceElement: stream, target: stream, swap: "innerHTML", text });
  }

  // Remove duplicates: a request of this tab may return the same messages.
  document.addEventListener("htmx:after:swap", () => {
    const newest = new Map();
    for (const article of document.querySelectorAll("#messages > article")) {
      newest.get(article.id)?.remove();
      newest.set(article.id, article);
    }
  });

  // Update changed messages. Earlier and unchanged ones are kept.
  function showMessages(other) {
    const messages = document.getElementById("messages"), articles = [...other.querySelectorAll("article")];
    const first = articles.find(({ id }) => document.getElementById(id));
    if (!first || first !== articles[0]) {
      messages.replaceChildren(...other.children);
    } else {
      const ids = new Set(articles.map(({ id }) => id));
      let previous = document.getElementById(first.id);
      for (let old = previous; old; old = old.nextElementSibling) if (!ids.has(old.id)) old.hidden = true;
      for (const article of articles) {
        const old = document.getElementById(article.id);
        if (!old) previous.after(article);
        else if (old.textContent !== article.textContent) old.replaceWith(article);
        previous = document.getElementById(article.id);
      }
      for (const removed of messages.querySelectorAll("article[hidden]")) removed.remove();
    }
    htmx.process(messages);
  }
})();
