// Streams of running answers, each in an element with data-stream. htmx opens one again where it broke off, but it does
// not see that one has gone silent (a router forgot it, the laptop slept), and gives up where the first request fails.
(() => {
  if (window.answerStreams) return; // two answers on a page bring this twice
  window.answerStreams = true;

  const states = new WeakMap();
  const lost = (stream) => document.querySelector(stream.dataset.stream);
  const running = () => [...document.querySelectorAll("[data-stream]")].filter((stream) => stream.firstElementChild);
  const of = ({ target }) => target.closest?.("[data-stream]");
  const silence = (stream) => 1000 * stream.dataset.silence;
  // Of each: when to ask anew, if nothing is heard until then; and its request, since htmx does not abort one that hangs.
  const state = (stream) => {
    if (!states.has(stream)) states.set(stream, { due: Date.now() + silence(stream) });
    return states.get(stream);
  };

  const hear = (stream) => {
    lost(stream).hidden = true;
    state(stream).due = Date.now() + silence(stream);
  };
  const ask = (stream) => {
    lost(stream).hidden = false;
    // A server begins its answer at once; a browser may take another connection that is dead.
    state(stream).due = Date.now() + silence(stream) / 4;
    state(stream).request?.abort();
    // In place of the old one, so that htmx lets go of that.
    htmx.swap({ sourceElement: stream, target: stream, swap: "innerHTML", text: stream.innerHTML });
  };
  const on = (name, act) => document.addEventListener(name, (event) => {
    const stream = of(event);
    if (stream) act(stream, event);
  }, true);

  setInterval(() => {
    for (const stream of running()) {
      if (document.hidden) hear(stream); // htmx closes the streams of pages that nobody sees
      else if (Date.now() > state(stream).due) ask(stream);
    }
  }, 1_000);
  document.addEventListener("visibilitychange", () => running().forEach(hear));
  addEventListener("offline", () => running().forEach((stream) => { lost(stream).hidden = false; }));
  addEventListener("online", () => running().forEach(ask));

  const say = (stream, words) => { // in a new element each time: else a screen reader would say it once
    lost(stream).nextElementSibling?.remove();
    lost(stream).after(Object.assign(document.createElement("p"), { className: "visually-hidden", textContent: words }));
  };
  on("htmx:before:request", (stream, { detail: { ctx } }) => {
    if (!state(stream).request) say(stream, "Answering");
    state(stream).request = ctx.request;
  });
  on("htmx:after:sse:connection", hear);
  on("htmx:before:sse:message", (stream, { target, detail: { message: { id } } }) => {
    hear(stream);
    const address = target.getAttribute("hx-sse:connect");
    if (id) target.setAttribute("hx-sse:connect", address.replace(/[^=]*$/, id));
  });
  // A fold of reasoning that its reader has opened stays open when the finished answer replaces the growing one.
  let unfolded = [];
  document.addEventListener("htmx:before:swap", () => {
    unfolded = [...document.querySelectorAll(".answer-reasoning[open]")].map(({ id }) => id);
  });
  document.addEventListener("htmx:after:swap", () => {
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  });
  // The open block is sent as what is new in it; blocks before it have been finished.
  const sources = new WeakMap(); // HTML of open blocks as it was sent: an element would spell it another way
  on("grow", (stream, { target, detail: { data, id } }) => {
    const name = target.dataset.prefix + id.split(":")[0];
    const open = document.getElementById(`${name}-open`), blocks = document.getElementById(`${name}-blocks`);
    const grown = JSON.parse(data), last = grown.pop();
    const whole = ([keep, html]) => (sources.get(open) ?? "").slice(0, keep) + html;
    for (const block of grown) {
      blocks.insertAdjacentHTML("beforeend", whole(block));
      sources.delete(open);
    }
    sources.set(open, whole(last));
    open.innerHTML = sources.get(open);
  });
  on("htmx:sse:error", (stream) => { lost(stream).hidden = false; });
  on("htmx:sse:close", (stream, { detail: { reason } }) => {
    if (reason !== "message") return; // the answer has not ended
    stream.replaceChildren();
    hear(stream);
    state(stream).request = null;
    say(stream, "Answer ended");
    stream.dispatchEvent(new CustomEvent("answer:end", { bubbles: true }));
  });

  // Esc, and a button of the page with data-stops-answer, press the Stop of the answer that is being written.
  const stop = () => [...document.querySelectorAll("[data-stop-answer]")].pop()?.click();
  document.addEventListener("click", ({ target }) => { if (target.closest("[data-stops-answer]")) stop(); });
  document.addEventListener("keydown", ({ key, isComposing, defaultPrevented }) => {
    const isOthers = isComposing || defaultPrevented || document.querySelector("dialog[open], .dropdown-menu.show");
    if (key === "Escape" && !isOthers) stop();
  });

  const askSoon = (stream, event) => {
    event.stopImmediatePropagation(); // the site's words and its ways with pages that come instead are not for this
    event.preventDefault();
    lost(stream).hidden = false;
    state(stream).due = Date.now() + 1_000 + 3_000 * Math.random();
  };
  on("htmx:error", askSoon);
  on("htmx:before:response", askSoon); // only of what is no stream
})();
