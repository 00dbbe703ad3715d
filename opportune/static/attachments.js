// Attachments of a question: files selected, dropped on the page or pasted, in a list with remove buttons.
// <ul id="attached"></ul> … <input type="file" multiple data-attachments="#attached" data-largest="bytes">
(() => {
  const input = document.querySelector("input[data-attachments]");
  const list = document.querySelector(input.dataset.attachments);
  const megabytes = (bytes) => `${Math.round(bytes / 1e5) / 10} MB`;
  let chosen = [];

  const choose = (files) => {
    const held = new DataTransfer();
    for (const file of files) held.items.add(file);
    input.files = held.files;
    chosen = [...held.files];
    const bytes = chosen.reduce((sum, file) => sum + file.size, 0);
    const most = Number(input.dataset.largest);
    const fault = bytes > most ? `These are ${megabytes(bytes)}, and ${megabytes(most)} go at once.` : "";
    input.setCustomValidity(fault);
    list.replaceChildren(...chosen.map(item));
    if (fault) list.append(Object.assign(document.createElement("li"), { role: "alert", textContent: fault }));
  };

  const item = (file) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn-close" });
    button.setAttribute("aria-label", `Remove ${file.name}`);
    button.addEventListener("click", () => {
      choose(chosen.filter((other) => other !== file));
      (list.querySelector("button") ?? input).focus();
    });
    const line = document.createElement("li");
    line.append(file.name, button);
    return line;
  };

  input.addEventListener("change", () => choose([...chosen, ...input.files]));
  input.form.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    choose([...chosen, ...event.clipboardData.files]);
  });
  const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // otherwise the browser opens the file
    choose([...chosen, ...event.dataTransfer.files]);
  });
  document.addEventListener("htmx:after:request", ({ target, detail: { ctx } }) => {
    if (target === input.form && ctx.response.raw.ok) choose([]);
  });
})();
