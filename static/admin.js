// Deletion and actions of the admin. What is chosen in a list goes along in the address.
(() => {
  const boxes = () => [...document.querySelectorAll(".select-box")];
  const chosen = () => boxes().filter((box) => box.checked).map((box) => box.value);

  const showChoice = () => {
    for (const button of document.querySelectorAll("[data-needs-choice]")) button.disabled = chosen().length === 0;
  };
  document.addEventListener("change", (event) => {
    if (event.target.id === "select-all") for (const box of boxes()) box.checked = event.target.checked;
    showChoice();
  });
  showChoice();

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-action]") || !boxes().length) return;
    event.target.action = `${event.target.action.split("?")[0]}?pks=${chosen().join(",")}`;
  });

  const dialog = document.getElementById("delete");
  if (!dialog) return;
  let address = "";
  dialog.addEventListener("show.bs.modal", ({ relatedTarget: { dataset } }) => {
    const pks = chosen();
    const several = pks.length === 1 ? `this ${dataset.one}` : `these ${pks.length} ${dataset.many}`;
    address = dataset.what ? dataset.url : `${dataset.url}?pks=${pks.join(",")}`;
    document.getElementById("delete-what").textContent = `Delete ${dataset.what || several}? This cannot be undone.`;
  });
  document.getElementById("delete-now").addEventListener("click", async () => {
    const response = await fetch(address, { method: "DELETE", headers: { Accept: "application/json" } });
    if (response.ok) {
      location.href = await response.text();
    } else {
      document.getElementById("delete-what").textContent = (await response.json()).detail;
    }
  });
})();
