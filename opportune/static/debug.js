// Reload the debug page when a file is saved.
const page = document.querySelector("[data-saved]");
const look = async () => {
  try {
    const { saved } = await (await fetch(page.dataset.url)).json();
    if (saved === page.dataset.saved) return;
    if (page.dataset.method === "GET") location.reload();
    else page.querySelector("[data-again]").hidden = false;
  } catch { /* the server restarts */ }
};
if (page) setInterval(look, 1000);
