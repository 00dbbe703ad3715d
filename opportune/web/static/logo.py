"""Logo of a site without `static/icon.svg`: the first letter of its name. Also the icon in the browser's tab."""

import re

from markupsafe import escape

from opportune.config.appearance import DEFAULT, THEMES

PRIMARY_COLOUR = re.compile(r"--tblr-primary:\s*([^;}]+)")


def primary_colour(sheet: str) -> str:
    """Return the primary colour of a style sheet."""
    match = PRIMARY_COLOUR.search(sheet)
    return match[1].strip() if match else THEMES[DEFAULT.theme].primary


def draw(site_name: str, colour: str) -> bytes:
    letter = next((character for character in site_name if character.isalnum()), "•").upper()
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="{escape(colour)}"/>
<g font-family="system-ui, sans-serif" font-size="19" font-weight="700" fill="#fff">
<text x="16" y="22.5" text-anchor="middle">{escape(letter)}</text></g>
</svg>
""".encode()
