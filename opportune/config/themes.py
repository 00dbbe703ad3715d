"""Themes of the site, the admin and e-mails: their colours, sizes and surfaces."""

from typing import NamedTuple

GREYS = (50, 200, 700, 800, 900)
"""Tabler's numbers of the greys that a theme sets: page, border; in dark mode border, surface, page."""


class Theme(NamedTuple):
    """Colours, titles and surfaces. Text has a contrast of 4.5 to 1 in light and dark mode, accents 3 to 1.

    No primary colour is near the red of buttons that delete.
    """

    primary: str
    """Background of buttons, and links in light mode."""
    accents: tuple[str, str]
    """Second colour in light and in dark mode: icons, drawings, the mark of the current page."""
    dark_link: str
    dark_hover: str
    greys: tuple[str, str, str, str, str]
    corners: str
    density: str = "normal"
    titles: str = "normal"
    frame: str = "light"
    cards: str = "outlined"
    motion: str = "calm"


THEMES = {
    "azure": Theme(
        primary="#066fd1",
        accents=("#0e7490", "#67e8f9"),
        dark_link="#60a5fa",
        dark_hover="#93c5fd",
        greys=("#f9fafb", "#e5e7eb", "#374151", "#1f2937", "#111827"),
        corners="medium",
        cards="soft",
    ),
    "forest": Theme(
        primary="#166534",
        accents=("#a16207", "#fde047"),
        dark_link="#86efac",
        dark_hover="#bbf7d0",
        greys=("#fafbf7", "#dfe5da", "#36443a", "#1d2720", "#121a14"),
        corners="large",
        titles="serif",
        frame="tinted",
    ),
    "plum": Theme(
        primary="#7e22ce",
        accents=("#be185d", "#f9a8d4"),
        dark_link="#d8b4fe",
        dark_hover="#e9d5ff",
        greys=("#faf8fd", "#e6e1ee", "#40384f", "#231d2e", "#16111e"),
        corners="round",
        density="spacious",
        titles="large",
        cards="raised",
        motion="springy",
    ),
    "ember": Theme(
        primary="#b45309",
        accents=("#0f766e", "#5eead4"),
        dark_link="#fdba74",
        dark_hover="#fed7aa",
        greys=("#fafaf9", "#e7e5e4", "#44403c", "#292524", "#1c1917"),
        corners="small",
        titles="bold",
        frame="dark",
    ),
    "rose": Theme(
        primary="#a8326e",
        accents=("#6d28d9", "#c4b5fd"),
        dark_link="#f9a8d4",
        dark_hover="#fbcfe8",
        greys=("#fdfafb", "#efe4e9", "#4a3a42", "#2b2227", "#1b1518"),
        corners="large",
        density="spacious",
        titles="light",
        frame="tinted",
        cards="raised",
        motion="springy",
    ),
    "graphite": Theme(
        primary="#475569",
        accents=("#0e7490", "#22d3ee"),
        dark_link="#cbd5e1",
        dark_hover="#e2e8f0",
        greys=("#f8fafc", "#e2e8f0", "#334155", "#1e293b", "#0f172a"),
        corners="square",
        density="compact",
        titles="small",
        frame="dark",
        motion="brisk",
    ),
}


class Titles(NamedTuple):
    size: str
    heading_size: str
    weight: int
    spacing: str
    family: str = "inherit"


TITLES = {
    "small": Titles("1.375rem", "1.125rem", 600, "-0.01em"),
    "normal": Titles("1.75rem", "1.375rem", 600, "-0.015em"),
    "light": Titles("2.25rem", "1.5rem", 400, "-0.025em"),
    "bold": Titles("1.875rem", "1.375rem", 800, "-0.03em"),
    "large": Titles("2.25rem", "1.625rem", 700, "-0.02em"),
    "serif": Titles("2rem", "1.5rem", 600, "0", 'Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif'),
}
"""Sizes of first and second headings, their weight, letter spacing and typefaces of the system."""
CARDS = {
    "soft": ("var(--tblr-shadow-card)", "var(--tblr-border-color-translucent)"),
    "outlined": ("none", "var(--tblr-border-color)"),
    "raised": ("0 1px 2px rgb(0 0 0 / 6%), 0 6px 20px rgb(0 0 0 / 7%)", "transparent"),
}
"""Shadow and border of cards."""
MOTIONS = {
    "brisk": ("0.06s", "0.1s", "ease-out"),
    "calm": ("0.12s", "0.2s", "ease-out"),
    "springy": ("0.16s", "0.3s", "cubic-bezier(0.3, 1.4, 0.6, 1)"),
}
"""Durations of small and large changes, and their easing. Without motion for users who prefer that: motion.css."""
CORNERS = {"square": 0, "small": 4, "medium": 6, "large": 10, "round": 16}
"""Radius of buttons and fields in pixels. Cards have a third more."""


class Density(NamedTuple):
    text_size: str
    """Font size of the root, of which Tabler's text is 14/16."""
    card_padding: str
    cell_padding: str
    spacing: float
    """Factor of the spaces that look.css defines."""


DENSITIES = {
    "compact": Density("100%", "0.75rem", "0.375rem", 0.8),
    "normal": Density("107.15%", "1.125rem", "0.75rem", 1),
    "spacious": Density("114.3%", "1.5rem", "0.875rem", 1.1),
}
