// Streams of running answers, each in an element with data-stream. htmx reconnects closed streams, but does not notice
// silent connections (after sleep or a network change), and gives up if the first request fails.
(() => {
  if (window.answerStreams) return; // included once per answer
  window.answerStreams = true;

  const states = new WeakMap();
  const connectionNotice = (stream) => document.querySelector(stream.dataset.stream);
  const runningStreams = () => [...document.querySelectorAll("[data-stream]")].filter((stream) => stream.firstElementChild);
  const streamOf = ({ target }) => target.closest?.("[data-stream]");
  const silence = (stream) => 1000 * stream.dataset.silence;
  // State of a stream: time to reconnect without any event, and the request, because htmx does not abort a hanging one.
  const state = (stream) => {
    if (!states.has(stream)) states.set(stream, { reconnectAt: Date.now() + silence(stream) });
    return states.get(stream);
  };

  const postponeReconnect = (stream) => {
    connectionNotice(stream).hidden = true;
    state(stream).reconnectAt = Date.now() + silence(stream);
  };
  const reconnect = (stream) => {
    connectionNotice(stream).hidden = false;
    // A server responds immediately, but the browser may reuse another dead connection: try again soon.
    state(stream).reconnectAt = Date.now() + silence(stream) / 4;
    const { request } = state(stream);
    // Replace the element, so that htmx forgets the old connection. Then end a request that got no response.
    htmx.swap({ sourceElement: stream, target: stream, swap: "innerHTML", text: stream.innerHTML });
    request?.abort();
  };
  const on = (name, handler) => document.addEventListener(name, (event) => {
    const stream = streamOf(event);
    if (stream) handler(stream, event);
  }, true);

  setInterval(() => {
    for (const stream of runningStreams()) {
      if (document.hidden) postponeReconnect(stream); // htmx closes the streams of hidden pages
      else if (Date.now() > state(stream).reconnectAt) reconnect(stream);
    }
  }, 1_000);
  document.addEventListener("visibilitychange", () => runningStreams().forEach(postponeReconnect));
  addEventListener("offline", () => runningStreams().forEach((stream) => { connectionNotice(stream).hidden = false; }));
  addEventListener("online", () => runningStreams().forEach(reconnect));

  const announce = (stream, text) => { // in a new element, so that screen readers announce repeated texts
    connectionNotice(stream).nextElementSibling?.remove();
    connectionNotice(stream).after(Object.assign(document.createElement("p"), { className: "visually-hidden", textContent: text }));
  };
  on("htmx:before:request", (stream, { detail: { ctx } }) => {
    if (!state(stream).request) announce(stream, gettext("Answering"));
    state(stream).request = ctx.request;
  });
  on("htmx:after:sse:connection", postponeReconnect);
  on("htmx:before:sse:message", (stream, { target, detail: { message: { id } } }) => {
    postponeReconnect(stream);
    const address = target.getAttribute("hx-sse:connect");
    if (id) target.setAttribute("hx-sse:connect", address.replace(/[^=]*$/, id));
  });
  // Keep opened reasoning open when the finished answer replaces the growing one.
  let openReasoningIds = [];
  document.addEventListener("htmx:before:swap", () => {
    openReasoningIds = [...document.querySelectorAll(".answer-reasoning[open]")].map(({ id }) => id);
  });
  document.addEventListener("htmx:after:swap", () => {
    for (const id of openReasoningIds) document.getElementById(id)?.setAttribute("open", "");
  });
  // A grow event contains finished blocks and the changed end of the open block.
  const sources = new WeakMap(); // HTML of open blocks as received, because innerHTML is normalized
  on("grow", (stream, { target, detail: { data, id } }) => {
    const name = target.dataset.prefix + id.split(":")[0];
    const open = document.getElementById(`${name}-open`), blocks = document.getElementById(`${name}-blocks`);
    const changes = JSON.parse(data), openBlock = changes.pop();
    const htmlOf = ([keep, html]) => (sources.get(open) ?? "").slice(0, keep) + html;
    for (const block of changes) {
      blocks.insertAdjacentHTML("beforeend", htmlOf(block));
      sources.delete(open);
    }
    sources.set(open, htmlOf(openBlock));
    open.innerHTML = sources.get(open);
  });
  on("htmx:sse:error", (stream) => { connectionNotice(stream).hidden = false; });
  on("htmx:sse:close", (stream, { detail: { reason } }) => {
    if (reason !== "message") return; // the answer has not ended
    stream.replaceChildren();
    postponeReconnect(stream);
    state(stream).request = null;
    announce(stream, gettext("Answer ended"));
    stream.dispatchEvent(new CustomEvent("answer:end", { bubbles: true }));
  });

  // Escape and buttons with data-stops-answer press the Stop button of each running answer.
  const stop = () => document.querySelectorAll("[data-stop-answer]").forEach((button) => button.click());
  document.addEventListener("click", ({ target }) => { if (target.closest("[data-stops-answer]")) stop(); });
  document.addEventListener("keydown", ({ key, isComposing, defaultPrevented }) => {
    const isHandled = isComposing || defaultPrevented || document.querySelector("dialog[open], .dropdown-menu.show");
    if (key === "Escape" && !isHandled) stop();
  });

  const reconnectSoon = (stream, event) => {
    event.stopImmediatePropagation(); // bypass the site's general error handling
    event.preventDefault();
    connectionNotice(stream).hidden = false;
    state(stream).reconnectAt = Date.now() + 1_000 + 3_000 * Math.random();
  };
  on("htmx:error", reconnectSoon);
  on("htmx:before:response", reconnectSoon); // not triggered by streams
})();
