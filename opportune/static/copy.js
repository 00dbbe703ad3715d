// Copy buttons on code blocks, on elements with data-text, and on answers, whose data-copy is the URL of the text as JSON.
(() => {
  if (window.copying || !navigator.clipboard) return; // only available on secure connections
  window.copying = true;
  document.documentElement.dataset.copies = "";

  const status = Object.assign(document.createElement("div"), { className: "visually-hidden" });
  status.setAttribute("role", "status");
  document.body.append(status);
  const show = (button, message, icon) => {
    status.textContent = message;
    button.firstElementChild.className = `ti ${icon}`;
    setTimeout(() => {
      status.textContent = "";
      button.firstElementChild.className = "ti ti-copy";
    }, 2_000);
  };

  const code = (pre) => { // long blocks are split while they stream
    let text = pre.querySelector("code").textContent;
    while ((pre = pre.nextElementSibling)?.matches("pre[data-continued]")) text += pre.textContent;
    return text;
  };
  const fetchText = async (address) => {
    const response = await fetch(address);
    if (!response.ok) throw new Error(response.statusText);
    return new Blob([(await response.json()).text], { type: "text/plain" });
  };
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-copy]");
    if (!button) return;
    const { copy, text } = button.dataset;
    try {
      // A promise, because Safari does not allow writing to the clipboard long after the click.
      await (copy ? navigator.clipboard.write([new ClipboardItem({ "text/plain": fetchText(copy) })])
        : navigator.clipboard.writeText(text ?? code(button.closest("pre"))));
      show(button, gettext("Copied"), "ti-check");
    } catch {
      show(button, gettext("Nothing was copied"), "ti-x");
    }
  });

  const FINISHED = ".markdown pre:not([id$='-open'] *, [data-continued], :has(> [data-copy])):has(> code)";
  const addButtons = (element) => {
    for (const pre of element.querySelectorAll(FINISHED)) {
      pre.dataset.language = /language-(\S+)/.exec(pre.firstElementChild.className)?.[1] ?? "";
      pre.insertAdjacentHTML("beforeend",
        '<button type="button" class="btn btn-icon btn-sm copy" data-copy><i class="ti ti-copy"></i></button>');
      pre.lastElementChild.setAttribute("aria-label", gettext("Copy the code"));
    }
    for (const button of element.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  };
  addButtons(document);
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) if (addedNodes.length) addButtons(target.parentElement ?? document);
  }).observe(document.body, { childList: true, subtree: true });
})();
