// Enter sends; the page follows the answer as long as its reader has not scrolled up.
(() => {
  const composer = document.getElementById("composer");
  const content = document.getElementById("question");
  const nearEnd = () => document.documentElement.scrollHeight - innerHeight - scrollY < 80;
  let following = true;

  const toEnd = () => scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  addEventListener("scroll", () => { following = nearEnd(); }, { passive: true });
  new MutationObserver(() => { if (following) toEnd(); })
    .observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
  toEnd();

  content.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });

  document.addEventListener("htmx:after:request", (event) => {
    if (event.target === composer && event.detail.ctx.response.raw.ok) {
      content.value = "";
      following = true;
      document.querySelector("#messages > .empty")?.remove();
    }
  });
})();
