"""Accessibility checks by axe-core, in light and dark without reloading the page."""

from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from playwright.async_api import Page

STANDARDS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
COLOUR_RULES = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}

CHECKED_PAGES: WeakSet[Page] = WeakSet()
"""Pages that were checked before."""

STATE = """() => [matchMedia("(prefers-color-scheme: dark)").matches, "axe" in window]"""

CHECK = Path(__file__).with_name("accessibility.js").read_text(encoding="utf-8")


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
    violations = await page.evaluate(CHECK, {**checks, "theme": theme})
    return [f"{theme}: {text}" for text in violations]


@cache
def _script() -> str:
    missing = "axe is missing: uv pip install axe-playwright-python"
    script: str = pytest.importorskip("axe_playwright_python.base", reason=missing).AXE_SCRIPT
    return script
