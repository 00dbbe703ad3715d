async ({ theme, ...options }) => {
  const deadline = performance.now() + 10_000;
  while (document.documentElement.dataset.bsTheme !== theme) {
    if (performance.now() > deadline) throw new Error(`the page does not become ${theme}`);
    await new Promise(requestAnimationFrame);
  }
  const { violations } = await axe.run({ ...options, resultTypes: ["violations"], preload: false, selectors: false });
  const messages = violations.flatMap(({ id, nodes }) => nodes.map(({ html, any, all, none }) =>
    `${id}: ${html.slice(0, 200)} (${[...any, ...all, ...none][0]?.message ?? ""})`));
  // axe does not check placeholders.
  const { Color, getContrast } = axe.commons.color;
  const colour = (text) => { const parsed = new Color(); parsed.parseString(text); return parsed; };
  const isDim = (field) => getContrast(
    colour(getComputedStyle(field).backgroundColor), colour(getComputedStyle(field, "::placeholder").color)) < 4.5;
  const shown = [...document.querySelectorAll(":placeholder-shown")].filter((field) => field.checkVisibility());
  const dim = shown.filter((field) => field.placeholder && isDim(field));
  return [...messages, ...dim.map((field) => `dim placeholder: ${field.outerHTML}`)];
}
