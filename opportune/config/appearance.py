"""The selected theme, corners and density of a site, which `static/colours.css` of the project stores."""

import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from opportune.config import themes
from opportune.project.text_files import write_text

FILE = "static/colours.css"
HEADER = re.compile(r"/\* Theme: ([a-z]+)\. Corners: ([a-z]+)\. Density: ([a-z]+)\.")


class Appearance(NamedTuple):
    """A theme with corners and density, each by name."""

    theme: str
    corners: str
    density: str


DEFAULT = Appearance("azure", "medium", "normal")


def find_appearance(theme: str, corners: str = "", density: str = "") -> Appearance | None:
    """Return the appearance, or None for an unknown name. Empty corners and density are those of the theme."""
    if theme not in themes.THEMES:
        return None
    appearance = Appearance(theme, corners or themes.THEMES[theme].corners, density or themes.THEMES[theme].density)
    return appearance if appearance.corners in themes.CORNERS and appearance.density in themes.DENSITIES else None


def read_appearance(sheet: str) -> Appearance | None:
    """Return the appearance of an unchanged style sheet, or None for one that the project has written."""
    match = HEADER.match(sheet)
    appearance = find_appearance(*match.groups()) if match else None
    return appearance if appearance and style_sheet(appearance) == sheet else None


def style_sheet(appearance: Appearance) -> str:
    """Return the content of `static/colours.css`."""
    theme = themes.THEMES[appearance.theme]
    radius = themes.CORNERS[appearance.corners]
    shadow, border = themes.CARDS[theme.cards]
    quick, slow, easing = themes.MOTIONS[theme.motion]
    numbered_greys = zip(themes.GREYS, theme.greys, strict=True)
    greys = "".join(f"  --tblr-gray-{number}: {colour};\n" for number, colour in numbered_greys)
    return _read_template("colours").format(
        appearance=appearance,
        theme=theme,
        density=themes.DENSITIES[appearance.density],
        titles=themes.TITLES[theme.titles],
        channels=", ".join(str(int(theme.primary[index : index + 2], 16)) for index in (1, 3, 5)),
        greys=greys,
        radius=radius,
        small_radius=radius * 2 // 3,
        large_radius=radius * 4 // 3,
        shadow=shadow,
        border=border,
        quick=quick,
        slow=slow,
        easing=easing,
        frame=_frame(theme),
    )


def _frame(theme: themes.Theme) -> str:
    """Return the rule for the header and the menu of the admin in light mode."""
    return "" if theme.frame == "light" else _read_template(f"frame_{theme.frame}").format(theme=theme)


def _read_template(name: str) -> str:
    return files("opportune.config").joinpath(f"{name}.css.tmpl").read_text(encoding="utf-8")  # also from a wheel


def write_style_sheet(project: Path, appearance: Appearance) -> None:
    """Write `static/colours.css` of the project in this folder."""
    write_text(project / FILE, style_sheet(appearance))
