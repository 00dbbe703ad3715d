// Attachments of a question: files selected, dropped on the page or pasted, in a list with remove buttons.
// <ul id="attached"></ul> … <input type="file" multiple data-attachments="#attached" data-largest="bytes">
(() => {
  const input = document.querySelector("input[data-attachments]");
  const list = document.querySelector(input.dataset.attachments);
  const megabytes = (bytes) => `${(Math.round(bytes / 1e5) / 10).toLocaleString(document.documentElement.lang)} MB`;
  let selectedFiles = [];

  const setFiles = (files) => {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    input.files = transfer.files;
    selectedFiles = [...transfer.files];
    const bytes = selectedFiles.reduce((sum, file) => sum + file.size, 0);
    const maxBytes = Number(input.dataset.largest);
    const message = bytes > maxBytes ? gettext("The files have %(size)s, but at most %(limit)s can be sent.", { size: megabytes(bytes), limit: megabytes(maxBytes) }) : "";
    input.setCustomValidity(message);
    list.replaceChildren(...selectedFiles.map(item));
    if (message) list.append(Object.assign(document.createElement("li"), { role: "alert", textContent: message }));
  };

  const item = (file) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn-close" });
    button.setAttribute("aria-label", gettext("Remove %(name)s", { name: file.name }));
    button.addEventListener("click", () => {
      setFiles(selectedFiles.filter((other) => other !== file));
      (list.querySelector("button") ?? input).focus();
    });
    const line = document.createElement("li");
    line.append(file.name, button);
    return line;
  };

  input.addEventListener("change", () => setFiles([...selectedFiles, ...input.files]));
  input.form.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    setFiles([...selectedFiles, ...event.clipboardData.files]);
  });
  const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // otherwise the browser opens the file
    setFiles([...selectedFiles, ...event.dataTransfer.files]);
  });
  document.addEventListener("htmx:after:request", ({ target, detail: { ctx } }) => {
    if (target === input.form && ctx.response.raw.ok) setFiles([]);
  });
})();
