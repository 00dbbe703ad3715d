"""Accessibility checks by axe-core, in light and dark without reloading the page."""

from functools import cache
from typing import Any
from weakref import WeakSet

import pytest
from playwright.async_api import Page

STANDARDS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
COLOUR_RULES = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}

SEEN: dict[str, str] = {}
"""Colours with sufficient contrast as JSON, by theme. Most pages repeat them."""

LOOKED_AT: WeakSet[Page] = WeakSet()
"""Number of pages with a prepared script."""

STATE = """() => [matchMedia("(prefers-color-scheme: dark)").matches, "axe" in window]"""

LOOK = """async ({ theme, seen, ...wanted }) => {
  const deadline = performance.now() + 10_000;
  while (document.documentElement.dataset.bsTheme !== theme) {
    if (performance.now() > deadline) throw new Error(`the page does not become ${theme}`);
    await new Promise(requestAnimationFrame);
  }
  // Most of the work are contrasts. Texts of one look are on what looks alike up to the root of the page, and what has
  // left the flow, and so may lie above or below others, is at the same place.
  const readable = new Set(JSON.parse(seen)), looks = new Map();
  const hash = (text) => {
    let [a, b] = [0xdeadbeef, 0x41c6ce57];
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      a = Math.imul(a ^ code, 2654435761);
      b = Math.imul(b ^ code, 1597334677);
    }
    return 4294967296 * (2097151 & (b ^ (a >>> 15))) + ((a ^ (b >>> 13)) >>> 0);
  };
  const lookOf = (element) => {
    if (!element) return 0;
    if (!looks.has(element)) {
      const style = getComputedStyle(element), isInFlow = ["static", "relative"].includes(style.position);
      const { x, y, width, height } = isInFlow ? {} : element.getBoundingClientRect();
      const own = [style.color, style.backgroundColor, style.backgroundImage, style.backgroundClip, style.opacity,
        style.filter, style.mixBlendMode, style.textShadow, style.fontSize, style.fontWeight,
        style.webkitTextStrokeWidth, style.webkitTextStrokeColor, x, y, width, height];
      looks.set(element, hash([lookOf(element.parentElement), ...own].join(";")));
    }
    return looks.get(element);
  };
  const rule = axe._audit.rules.find(({ id }) => id === "color-contrast"), { matches } = rule;
  const check = axe._audit.checks["color-contrast"], { evaluate } = check;
  const saysSomething = (node) => node.matches("input, select, textarea")
    || [...node.childNodes].some(({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim());
  rule.matches = function (node, ...rest) {
    return saysSomething(node) && !readable.has(lookOf(node)) && matches.call(this, node, ...rest);
  };
  check.evaluate = function (node, ...rest) {  // all nodes of a page are matched before the first is looked at
    if (readable.has(lookOf(node))) return true;
    const isReadable = evaluate.call(this, node, ...rest);
    if (isReadable === true && axe.commons.dom.isVisibleOnScreen(node)) readable.add(lookOf(node));
    return isReadable;
  };
  const { violations } = await axe.run({ ...wanted, resultTypes: ["violations"], preload: false, selectors: false });
  Object.assign(rule, { matches });
  Object.assign(check, { evaluate });
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html, any, all, none }) =>
    `${id}: ${html.slice(0, 200)} (${[...any, ...all, ...none][0]?.message ?? ""})`));
  // Axe does not look at placeholders.
  const { Color, getContrast } = axe.commons.color;
  const colour = (text) => { const made = new Color(); made.parseString(text); return made; };
  const isDim = (field) => getContrast(
    colour(getComputedStyle(field).backgroundColor), colour(getComputedStyle(field, "::placeholder").color)) < 4.5;
  const shown = [...document.querySelectorAll(":placeholder-shown")].filter((field) => field.checkVisibility());
  const dim = shown.filter((field) => field.placeholder && isDim(field));
  return [[...found, ...dim.map((field) => `dim placeholder: ${field.outerHTML}`)], JSON.stringify([...readable])];
}"""


async def find_violations(page: Page, *, of_colours_alone: bool = False) -> list[str]:
    """Return the violations that axe finds in the current page, by theme."""
    await page.wait_for_load_state()  # a click may have opened the page a moment ago
    is_dark, has_axe = await page.evaluate(STATE)
    if not has_axe:
        await page.evaluate(_script())
        if page in LOOKED_AT:  # later documents load axe at their start, which is faster
            await page.add_init_script(_script())
    LOOKED_AT.add(page)
    first, second = ("dark", "light") if is_dark else ("light", "dark")
    violations = await _look(page, first, COLOUR_RULES if of_colours_alone else STANDARDS)
    await page.emulate_media(color_scheme="light" if is_dark else "dark", reduced_motion="reduce")
    return [*violations, *await _look(page, second, COLOUR_RULES)]


async def _look(page: Page, theme: str, checks: dict[str, Any]) -> list[str]:
    violations, SEEN[theme] = await page.evaluate(LOOK, {**checks, "theme": theme, "seen": SEEN.get(theme, "[]")})
    return [f"{theme}: {text}" for text in violations]


@cache
def _script() -> str:
    missing = "axe is missing: uv pip install axe-playwright-python"
    script: str = pytest.importorskip("axe_playwright_python.base", reason=missing).AXE_SCRIPT
    return script
