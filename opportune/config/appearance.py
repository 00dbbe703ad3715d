"""Themes of the site, the admin and e-mails. `static/colours.css` of a project stores the selected one."""

import re
from pathlib import Path
from typing import NamedTuple

FILE = "static/colours.css"
HEADER = re.compile(r"/\* Theme: ([a-z]+)\. Corners: ([a-z]+)\. Density: ([a-z]+)\.")
GREYS = (50, 200, 700, 800, 900)
"""Tabler's numbers of the greys that a theme sets: page, border; in dark mode border, surface, page."""


class Theme(NamedTuple):
    """A palette with matching corners, density and titles. Text has a contrast of 4.5 to 1 in light and dark mode."""

    primary: str
    """Background of buttons, and links in light mode."""
    dark_link: str
    dark_hover: str
    greys: tuple[str, str, str, str, str]
    corners: str
    density: str
    titles: str = "normal"


THEMES = {
    "azure": Theme(
        primary="#066fd1",
        dark_link="#60a5fa",
        dark_hover="#93c5fd",
        greys=("#f9fafb", "#e5e7eb", "#374151", "#1f2937", "#111827"),
        corners="medium",
        density="normal",
    ),
    "forest": Theme(
        primary="#0f766e",
        dark_link="#5eead4",
        dark_hover="#99f6e4",
        greys=("#f6faf8", "#dfe8e4", "#30433d", "#1a2724", "#101a18"),
        corners="large",
        density="normal",
    ),
    "plum": Theme(
        primary="#7e22ce",
        dark_link="#d8b4fe",
        dark_hover="#e9d5ff",
        greys=("#faf8fd", "#e6e1ee", "#40384f", "#231d2e", "#16111e"),
        corners="round",
        density="spacious",
        titles="large",
    ),
    "ember": Theme(
        primary="#c2410c",
        dark_link="#fdba74",
        dark_hover="#fed7aa",
        greys=("#fafaf9", "#e7e5e4", "#44403c", "#292524", "#1c1917"),
        corners="small",
        density="normal",
        titles="bold",
    ),
    "rose": Theme(
        primary="#be123c",
        dark_link="#fda4af",
        dark_hover="#fecdd3",
        greys=("#fafafa", "#e4e4e7", "#3f3f46", "#27272a", "#18181b"),
        corners="large",
        density="spacious",
        titles="light",
    ),
    "graphite": Theme(
        primary="#475569",
        dark_link="#cbd5e1",
        dark_hover="#e2e8f0",
        greys=("#f8fafc", "#e2e8f0", "#334155", "#1e293b", "#0f172a"),
        corners="square",
        density="compact",
        titles="small",
    ),
}
TITLES = {
    "small": ("1.375rem", "1.125rem", 600),
    "normal": ("1.75rem", "1.375rem", 600),
    "light": ("2rem", "1.5rem", 500),
    "bold": ("1.875rem", "1.375rem", 800),
    "large": ("2.25rem", "1.625rem", 700),
}
"""Sizes of first and second headings, and their weight."""
CORNERS = {"square": 0, "small": 4, "medium": 6, "large": 10, "round": 16}
"""Radius of buttons and fields in pixels. Cards have a third more."""


class Density(NamedTuple):
    text_size: str
    """Font size of the root, of which Tabler's text is 14/16."""
    card_padding: str
    cell_padding: str


DENSITIES = {
    "compact": Density("107.15%", "0.75rem", "0.375rem"),
    "normal": Density("107.15%", "1.125rem", "0.75rem"),
    "spacious": Density("114.3%", "1.5rem", "0.875rem"),
}


class Appearance(NamedTuple):
    """A theme with corners and density, each by name."""

    theme: str
    corners: str
    density: str


DEFAULT = Appearance("azure", "medium", "normal")


def find_appearance(theme: str, corners: str = "", density: str = "") -> Appearance | None:
    """Return the appearance, or None for an unknown name. Empty corners and density are those of the theme."""
    if theme not in THEMES:
        return None
    appearance = Appearance(theme, corners or THEMES[theme].corners, density or THEMES[theme].density)
    return appearance if appearance.corners in CORNERS and appearance.density in DENSITIES else None


def read_appearance(sheet: str) -> Appearance | None:
    """Return the appearance of an unchanged style sheet, or None for one that the project has written."""
    match = HEADER.match(sheet)
    appearance = find_appearance(*match.groups()) if match else None
    return appearance if appearance and style_sheet(appearance) == sheet else None


def style_sheet(appearance: Appearance) -> str:
    """Return the content of `static/colours.css`."""
    theme, radius, density = THEMES[appearance.theme], CORNERS[appearance.corners], DENSITIES[appearance.density]
    title_size, heading_size, weight = TITLES[theme.titles]
    greys = "".join(f"  --tblr-gray-{number}: {colour};\n" for number, colour in zip(GREYS, theme.greys, strict=True))
    return f"""\
/* Theme: {appearance.theme}. Corners: {appearance.corners}. Density: {appearance.density}.
   Written by Admin > Appearance. You can also edit it. */
:root {{
  --tblr-primary: {theme.primary};
  --tblr-primary-rgb: {", ".join(str(int(theme.primary[i : i + 2], 16)) for i in (1, 3, 5))};
{greys}  --tblr-body-bg: var(--tblr-gray-50);
  --tblr-border-color: var(--tblr-gray-200);
  --tblr-border-radius-sm: {radius * 2 // 3}px;
  --tblr-border-radius: {radius}px;
  --tblr-border-radius-lg: {radius * 4 // 3}px;
  --tblr-font-size-h1: {title_size};
  --tblr-font-size-h2: {heading_size};
  --tblr-font-weight-headings: {weight};
  --look-text-size: {density.text_size};
  --look-card-padding: {density.card_padding};
  --look-cell-padding: {density.cell_padding};
}}
[data-bs-theme="dark"] {{
  --tblr-link-color: {theme.dark_link};
  --tblr-link-hover-color: {theme.dark_hover};
  --tblr-body-bg: var(--tblr-gray-900);
  --tblr-border-color: var(--tblr-gray-700);
}}
"""


def write_style_sheet(project: Path, appearance: Appearance) -> None:
    """Write `static/colours.css` of the project in this folder."""
    path = project / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(style_sheet(appearance), encoding="utf-8", newline="\n")
