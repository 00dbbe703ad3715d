"""Accessibility by axe-core: a page in light and in dark, without loading it again."""

from functools import cache
from typing import Any

import pytest
from playwright.async_api import Page

STANDARDS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
COLOUR_RULES = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}

LOOK = """async (wanted) => {
  const { violations } = await axe.run({ ...wanted, resultTypes: ["violations"], preload: false, selectors: false });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, any, all, none }) =>
    `${id}: ${html.slice(0, 200)} (${[...any, ...all, ...none][0]?.message ?? ""})`));
}"""

# axe does not look at these.
DIM_PLACEHOLDERS = """() => {
  const { Color, getContrast } = axe.commons.color;
  const colour = (text) => { const made = new Color(); made.parseString(text); return made; };
  const isDim = (field) => getContrast(
    colour(getComputedStyle(field).backgroundColor), colour(getComputedStyle(field, "::placeholder").color)) < 4.5;
  const shown = [...document.querySelectorAll(":placeholder-shown")].filter((field) => field.checkVisibility());
  const dim = shown.filter((field) => field.placeholder && isDim(field));
  return dim.map((field) => `dim placeholder: ${field.outerHTML}`);
}"""


async def find_violations(page: Page) -> list[str]:
    """Violations that axe finds in the page that is shown, by theme. What has no colour is the same in both."""
    await page.evaluate(_script())
    found = []
    wanted: dict[str, Any]
    for theme, wanted in (("light", STANDARDS), ("dark", COLOUR_RULES)):
        await page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        await page.wait_for_function("theme => document.documentElement.dataset.bsTheme === theme", arg=theme)
        faults = [*await page.evaluate(LOOK, wanted), *await page.evaluate(DIM_PLACEHOLDERS)]
        found += [f"{theme}: {text}" for text in faults]
    return found


@cache
def _script() -> str:
    missing = "axe is missing: uv pip install axe-playwright-python"
    script: str = pytest.importorskip("axe_playwright_python.base", reason=missing).AXE_SCRIPT
    return script
