"""Themes: contrast of their colours, and the style sheet that stores one."""

import pytest

from opportune.config.appearance import DEFAULT, find_appearance, read_appearance, style_sheet
from opportune.config.themes import THEMES
from opportune.project.layout import FRAMEWORK

MIN_CONTRAST, MIN_ACCENT_CONTRAST = 4.5, 3
"""WCAG 2, level AA, of text and of graphics."""
LIGHT_SECONDARY, DARK_SECONDARY = "#6b7280", "#9ca3af"
"""Tabler's colours of secondary text."""


def luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", THEMES)
def test_theme_has_readable_text(name: str) -> None:
    theme = THEMES[name]
    light, dark = theme.greys[0], theme.greys[3:]
    pairs = [(theme.primary, "#f9fafb"), (theme.primary, light), (LIGHT_SECONDARY, light)]
    pairs += [(text, page) for text in (theme.dark_link, theme.dark_hover, DARK_SECONDARY) for page in dark]
    assert [pair for pair in pairs if contrast(*pair) < MIN_CONTRAST] == []
    graphics = [(theme.accents[0], light), *((theme.accents[1], page) for page in dark)]
    assert [pair for pair in graphics if contrast(*pair) < MIN_ACCENT_CONTRAST] == []


def test_style_sheet_names_its_appearance_and_has_its_colours() -> None:
    appearance = find_appearance("forest", "round", "compact")
    assert appearance
    assert read_appearance(style_sheet(appearance)) == appearance
    sheet = (FRAMEWORK / "static/colours.css").read_text(encoding="utf-8")
    theme_sheet = style_sheet(DEFAULT)
    assert [line for line in sheet.splitlines() if line.endswith(";") and line not in theme_sheet] == []
