"""Accessibility by axe-core: a page in light and in dark, without loading it again."""

from functools import cache

import pytest
from playwright.async_api import Page

STANDARDS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
COLOUR_RULES = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}

STATE = """() => [matchMedia("(prefers-color-scheme: dark)").matches, "axe" in window]"""

LOOK = """async ({ theme, ...wanted }) => {
  const deadline = performance.now() + 10_000;
  while (document.documentElement.dataset.bsTheme !== theme) {
    if (performance.now() > deadline) throw new Error(`the page does not become ${theme}`);
    await new Promise(requestAnimationFrame);
  }
  const { violations } = await axe.run({ ...wanted, resultTypes: ["violations"], preload: false, selectors: false });
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html, any, all, none }) =>
    `${id}: ${html.slice(0, 200)} (${[...any, ...all, ...none][0]?.message ?? ""})`));
  // Axe does not look at placeholders.
  const { Color, getContrast } = axe.commons.color;
  const colour = (text) => { const made = new Color(); made.parseString(text); return made; };
  const isDim = (field) => getContrast(
    colour(getComputedStyle(field).backgroundColor), colour(getComputedStyle(field, "::placeholder").color)) < 4.5;
  const shown = [...document.querySelectorAll(":placeholder-shown")].filter((field) => field.checkVisibility());
  const dim = shown.filter((field) => field.placeholder && isDim(field));
  return [...found, ...dim.map((field) => `dim placeholder: ${field.outerHTML}`)];
}"""


async def find_violations(page: Page) -> list[str]:
    """Violations that axe finds in the page that is shown, by theme. What has no colour is the same in both."""
    await page.wait_for_load_state()  # a click may have led to it a moment ago
    is_dark, has_axe = await page.evaluate(STATE)
    if not has_axe:
        await page.evaluate(_script())
    first, second = ("dark", "light") if is_dark else ("light", "dark")
    found = await page.evaluate(LOOK, {**STANDARDS, "theme": first})
    await page.emulate_media(color_scheme="light" if is_dark else "dark", reduced_motion="reduce")
    more = await page.evaluate(LOOK, {**COLOUR_RULES, "theme": second})
    return [*(f"{first}: {text}" for text in found), *(f"{second}: {text}" for text in more)]


@cache
def _script() -> str:
    missing = "axe is missing: uv pip install axe-playwright-python"
    script: str = pytest.importorskip("axe_playwright_python.base", reason=missing).AXE_SCRIPT
    return script
