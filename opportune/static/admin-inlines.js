// Tables of inline rows in forms of the admin: add, remove and move lines without sending the form.
for (const box of document.querySelectorAll("[data-inline]")) {
  const prefix = box.dataset.inline, body = box.querySelector("tbody"), template = box.querySelector("template");
  const form = box.closest("form"), add = form.elements[`${prefix}-(add)`];
  const changed = () => form.dispatchEvent(new CustomEvent("inline:change"));
  const news = Object.assign(document.createElement("div"), { className: "visually-hidden" });
  news.setAttribute("aria-live", "polite");
  box.after(news);
  let number = Math.max(-1, ...[...body.querySelectorAll("[name$='-(rows)']")].map(({ value }) => Number(value.match(/^new(\d+)$/)?.[1] ?? -1))) + 1;

  const update = () => { if (add) add.disabled = body.rows.length >= Number(box.dataset.maxLines); };
  const move = (row, next) => {
    body.insertBefore(row, next);
    changed();
  };

  const addLine = (key = `new${number++}`) => {
    const part = document.createElement("tbody");
    part.innerHTML = template.innerHTML.replaceAll("new__", key);
    const row = part.firstElementChild;
    delete row.dataset.blank;
    body.append(row);
    update();
    changed();
    return row;
  };
  const remove = (row) => {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    update();
    (next?.querySelector(":is(input:not([type=hidden]), select, textarea, button):not([hidden])") ?? add)?.focus();
    changed();
  };

  add?.addEventListener("click", (event) => {
    event.preventDefault();
    addLine().querySelector("td :is(input:not([type=hidden]), select, textarea):not([hidden])")?.focus();
  });
  // A draft (drafts.js) has the fields of lines that the page does not have.
  form.addEventListener("draft:open", ({ detail }) => {
    const keys = detail.filter((name) => name.startsWith(`${prefix}-new`)).map((name) => name.slice(prefix.length + 1).split("-")[0]);
    for (const key of new Set(keys)) {
      number = Math.max(number, Number(key.slice(3)) + 1);
      if (!body.querySelector(`[name$="-(rows)"][value="${key}"]`)) addLine(key);
    }
  });
  body.addEventListener("click", (event) => {
    const button = event.target.closest("button"), row = button?.closest("tr");
    if (button?.matches(".inline-remove")) remove(row);
    if (!button?.name.endsWith("-(move)")) return;
    event.preventDefault();
    const isUp = button.value.endsWith(":up");
    const other = isUp ? row.previousElementSibling : row.nextElementSibling;
    if (other) move(row, isUp ? other : other.nextElementSibling);
    button.focus();
    news.textContent = gettext("Row %(row)s of %(rows)s", { row: row.sectionRowIndex + 1, rows: body.rows.length });
  });

  body.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-drag]"), row = handle?.closest("tr");
    if (!row || event.button) return;
    event.preventDefault();
    handle.setPointerCapture(event.pointerId);
    row.classList.add("is-dragged");
    // The neighbours move, because moving the handle would end the drag.
    const middle = (other) => other.getBoundingClientRect().top + other.offsetHeight / 2;
    const drag = ({ clientY }) => {
      let other;
      while ((other = row.previousElementSibling) && clientY < middle(other)) row.after(other);
      while ((other = row.nextElementSibling) && clientY > middle(other)) row.before(other);
      changed();
    };
    handle.addEventListener("pointermove", drag);
    handle.addEventListener("lostpointercapture", () => {
      handle.removeEventListener("pointermove", drag);
      row.classList.remove("is-dragged");
    }, { once: true });
  });

  for (const row of [...body.rows]) if ("blank" in row.dataset) row.remove();
  update();
}
