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

READABLE_STYLES: dict[str, str] = {}
"""Hashes of styles with sufficient contrast as JSON, by theme. Most pages repeat them."""

CHECKED_PAGES: WeakSet[Page] = WeakSet()
"""Pages that were checked before."""

STATE = """() => [matchMedia("(prefers-color-scheme: dark)").matches, "axe" in window]"""

CHECK = """async ({ theme, readableStyles, ...options }) => {
  const deadline = performance.now() + 10_000;
  while (document.documentElement.dataset.bsTheme !== theme) {
    if (performance.now() > deadline) throw new Error(`the page does not become ${theme}`);
    await new Promise(requestAnimationFrame);
  }
  // Contrast checks take most of the time, so each style is checked once. A style includes those of all ancestors, and
  // the position of elements outside the flow, which may cover others.
  const readable = new Set(JSON.parse(readableStyles)), styles = new Map();
  const hash = (text) => {
    let [a, b] = [0xdeadbeef, 0x41c6ce57];
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      a = Math.imul(a ^ code, 2654435761);
      b = Math.imul(b ^ code, 1597334677);
    }
    return 4294967296 * (2097151 & (b ^ (a >>> 15))) + ((a ^ (b >>> 13)) >>> 0);
  };
  const styleHash = (element) => {
    if (!element) return 0;
    if (!styles.has(element)) {
      const style = getComputedStyle(element), isInFlow = ["static", "relative"].includes(style.position);
      const { x, y, width, height } = isInFlow ? {} : element.getBoundingClientRect();
      const properties = [style.color, style.backgroundColor, style.backgroundImage, style.backgroundClip,
        style.opacity, style.filter, style.mixBlendMode, style.textShadow, style.fontSize, style.fontWeight,
        style.webkitTextStrokeWidth, style.webkitTextStrokeColor, x, y, width, height];
      styles.set(element, hash([styleHash(element.parentElement), ...properties].join(";")));
    }
    return styles.get(element);
  };
  const rule = axe._audit.rules.find(({ id }) => id === "color-contrast"), { matches } = rule;
  const check = axe._audit.checks["color-contrast"], { evaluate } = check;
  const hasText = (node) => node.matches("input, select, textarea")
    || [...node.childNodes].some(({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim());
  rule.matches = function (node, ...rest) {
    return hasText(node) && !readable.has(styleHash(node)) && matches.call(this, node, ...rest);
  };
  check.evaluate = function (node, ...rest) {  // axe matches all nodes before it evaluates the first
    if (readable.has(styleHash(node))) return true;
    const isReadable = evaluate.call(this, node, ...rest);
    if (isReadable === true && axe.commons.dom.isVisibleOnScreen(node)) readable.add(styleHash(node));
    return isReadable;
  };
  const { violations } = await axe.run({ ...options, resultTypes: ["violations"], preload: false, selectors: false });
  Object.assign(rule, { matches });
  Object.assign(check, { evaluate });
  const messages = violations.flatMap(({ id, nodes }) => nodes.map(({ html, any, all, none }) =>
    `${id}: ${html.slice(0, 200)} (${[...any, ...all, ...none][0]?.message ?? ""})`));
  // axe does not check placeholders.
  const { Color, getContrast } = axe.commons.color;
  const colour = (text) => { const parsed = new Color(); parsed.parseString(text); return parsed; };
  const isDim = (field) => getContrast(
    colour(getComputedStyle(field).backgroundColor), colour(getComputedStyle(field, "::placeholder").color)) < 4.5;
  const shown = [...document.querySelectorAll(":placeholder-shown")].filter((field) => field.checkVisibility());
  const dim = shown.filter((field) => field.placeholder && isDim(field));
  return [[...messages, ...dim.map((field) => `dim placeholder: ${field.outerHTML}`)], JSON.stringify([...readable])];
}"""


async def find_violations(page: Page, *, of_colours_alone: bool = False) -> list[str]:
    """Return the violations that axe finds in the current page, by theme."""
    await page.wait_for_load_state()  # a click may have opened the page a moment ago
    is_dark, has_axe = await page.evaluate(STATE)
    if not has_axe:
        await page.evaluate(_script())
        if page in CHECKED_PAGES:  # later documents load axe at their start, which is faster
            await page.add_init_script(_script())
    CHECKED_PAGES.add(page)
    current_theme, other_theme = ("dark", "light") if is_dark else ("light", "dark")
    violations = await _check_theme(page, current_theme, COLOUR_RULES if of_colours_alone else STANDARDS)
    await page.emulate_media(color_scheme="light" if is_dark else "dark", reduced_motion="reduce")
    return [*violations, *await _check_theme(page, other_theme, COLOUR_RULES)]


async def _check_theme(page: Page, theme: str, checks: dict[str, Any]) -> list[str]:
    options = {**checks, "theme": theme, "readableStyles": READABLE_STYLES.get(theme, "[]")}
    violations, READABLE_STYLES[theme] = await page.evaluate(CHECK, options)
    return [f"{theme}: {text}" for text in violations]


@cache
def _script() -> str:
    missing = "axe is missing: uv pip install axe-playwright-python"
    script: str = pytest.importorskip("axe_playwright_python.base", reason=missing).AXE_SCRIPT
    return script
