"""Generated files: the logo of a site without `static/icon.svg`, and the translations of the texts in scripts."""

import ast
import json
import re
from functools import cache, lru_cache
from pathlib import Path

from markupsafe import escape

from opportune.config.appearance import DEFAULT
from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE
from opportune.config.themes import THEMES
from opportune.i18n.catalogues import has_catalogue
from opportune.i18n.languages import get_language, use_language
from opportune.i18n.translation import gettext
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, replacements

PRIMARY_COLOUR = re.compile(r"--tblr-primary:\s*([^;}]+)")
SCRIPT_TEXTS = re.compile(r"texts\.([A-Za-z-]+)\.js")
MARKED_TEXT = re.compile(r"""\bgettext\(\s*("(?:[^"\\\n]|\\.)*")""")


def primary_colour(sheet: str) -> str:
    match = PRIMARY_COLOUR.search(sheet)
    return match[1].strip() if match else THEMES[DEFAULT.theme].primary


def draw_logo(site_name: str, colour: str) -> bytes:
    """Return the first letter of the name as an image, which is also the icon in the browser's tab."""
    letter = next((character for character in site_name if character.isalnum()), "•").upper()
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="{escape(colour)}"/>
<g font-family="system-ui, sans-serif" font-size="19" font-weight="700" fill="#fff">
<text x="16" y="22.5" text-anchor="middle">{escape(letter)}</text></g>
</svg>
""".encode()


def file_of_language() -> str:
    """Return the name of the file for the current language; empty for English and languages without catalogues."""
    name = f"texts.{get_language().code}.js"
    return name if is_script_texts(name) else ""


@lru_cache(100)
def is_script_texts(name: str) -> bool:
    """Return whether a static file has this name. Only languages with a catalogue have one."""
    match = SCRIPT_TEXTS.fullmatch(name)
    if match is None or match[1] == SOURCE_LANGUAGE:
        return False
    return match[1] == PSEUDO_LANGUAGE or has_catalogue(match[1])


@cache
def script_texts(name: str) -> bytes:
    """Return a script with the translations for `gettext` of theme.js, read once per process and language."""
    with use_language(name.split(".")[1]):
        texts = {text: str(gettext(text)) for text in _find_texts()}
    return f"window.translations = {json.dumps(texts)};\n".encode()


@cache
def _find_texts() -> list[str]:
    """Return the texts in calls of `gettext` in scripts of the project, of packages and of the framework."""
    folders = [replacements("static"), FRAMEWORK / "static"]
    folders += [Path(folder) / "static" for folder in feature_packages().values()]
    paths = [path for folder in folders for path in folder.rglob("*.js") if path.is_file()]
    scripts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    literals = {literal for script in scripts for literal in MARKED_TEXT.findall(script)}
    # Python has the same escapes, except `\/`.
    return [ast.literal_eval(literal.replace(r"\/", "/")) for literal in sorted(literals)]
