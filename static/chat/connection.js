// The stream of a running answer. htmx opens it again where it broke off, but it does not see that one has gone silent
// (a router forgot it, the laptop slept), and gives up where the first request fails.
(() => {
  const stream = document.getElementById("stream");
  const lost = document.getElementById("lost");
  const silence = 1000 * stream.dataset.silence;
  const source = () => stream.firstElementChild;
  let due; // when to ask anew, if nothing is heard until then
  let first; // request: htmx does not abort one that hangs

  const hear = () => { lost.hidden = true; due = Date.now() + silence; };
  const ask = () => {
    lost.hidden = false;
    // A server begins its answer at once; a browser may take another connection that is dead.
    due = Date.now() + silence / 4;
    first?.abort();
    // In place of the old one, so that htmx lets go of that.
    htmx.swap({ sourceElement: stream, target: stream, swap: "innerHTML", text: stream.innerHTML });
  };

  hear();
  setInterval(() => {
    if (document.hidden || !source()) hear(); // htmx closes the streams of pages that nobody sees
    else if (Date.now() > due) ask();
  }, 1_000);
  document.addEventListener("visibilitychange", hear);
  addEventListener("offline", () => { lost.hidden = !source(); });
  addEventListener("online", () => { if (source()) ask(); });

  stream.addEventListener("htmx:before:request", ({ detail: { ctx } }) => { first = ctx.request; });
  stream.addEventListener("htmx:after:sse:connection", hear);
  stream.addEventListener("htmx:before:sse:message", ({ target, detail: { message: { id } } }) => {
    hear();
    const address = target.getAttribute("hx-sse:connect");
    if (id) target.setAttribute("hx-sse:connect", address.replace(/[^=]*$/, id));
  });
  stream.addEventListener("htmx:sse:error", () => { lost.hidden = false; });
  stream.addEventListener("htmx:sse:close", ({ detail: { reason } }) => {
    if (reason !== "message") return; // the answer has not ended
    stream.replaceChildren();
    document.querySelector("#refusal [data-until-answered]")?.remove();
    hear();
  });

  const askSoon = (event) => {
    event.stopPropagation(); // the site's words and its ways with pages that come instead are not for this
    event.preventDefault();
    lost.hidden = false;
    due = Date.now() + 1_000 + 3_000 * Math.random();
  };
  stream.addEventListener("htmx:error", askSoon);
  stream.addEventListener("htmx:before:response", askSoon); // only of what is no stream
})();
