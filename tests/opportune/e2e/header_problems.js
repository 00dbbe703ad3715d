async (hasScripts) => {
  if (hasScripts) await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const problems = [], root = document.documentElement, header = document.querySelector("header");
  const isSide = header.offsetHeight === innerHeight;
  if (root.scrollWidth > root.clientWidth) problems.push("the page scrolls sideways");
  if (hasScripts && header.offsetHeight > 72 && !isSide) problems.push("the header has several lines");
  const entries = [...document.querySelectorAll("#menu li a")];
  const menu = document.querySelector("[popovertarget=menu]");
  const isReachable = (entry) => entry.checkVisibility() || menu.checkVisibility()
    || entry.closest("details")?.querySelector("summary").checkVisibility();
  for (const entry of entries) if (!isReachable(entry)) problems.push(`${entry.textContent} is out of reach`);
  for (const element of header.querySelectorAll("a, button, summary")) {
    const { left, right, width, height } = element.getBoundingClientRect();
    const isVisible = element.checkVisibility({ visibilityProperty: true }) && width > 1;
    if (!isVisible || element.closest(".dropdown-menu")) continue;
    const name = element.textContent.trim() || element.ariaLabel;
    if (left < 0 || right > root.clientWidth) problems.push(`${name} is off-screen`);
    if (hasScripts && !isSide && !element.matches(".navbar-brand") && height > 64) problems.push(`${name} breaks`);
  }
  return problems;
}
