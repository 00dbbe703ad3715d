"""Translations of the texts in scripts, as a generated script for each language."""

import json
import re
from functools import cache, lru_cache
from pathlib import Path

from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE
from opportune.i18n.catalogues import catalogue_path, locale_folders
from opportune.i18n.languages import get_language, use_language
from opportune.i18n.translation import gettext
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, replacements

FILE_NAME = re.compile(r"texts\.([A-Za-z-]+)\.js")
MARKED_TEXT = re.compile(r"""\bgettext\(\s*("(?:[^"\\\n]|\\.)*")""")


def file_of_language() -> str:
    """Return the name of the file for the current language; empty for English and languages without catalogues."""
    name = f"texts.{get_language().code}.js"
    return name if is_script_texts(name) else ""


@lru_cache(100)
def is_script_texts(name: str) -> bool:
    """Return whether a static file has this name. Only languages with a catalogue have one."""
    match = FILE_NAME.fullmatch(name)
    if match is None or match[1] == SOURCE_LANGUAGE:
        return False
    return match[1] == PSEUDO_LANGUAGE or any(
        catalogue_path(path, match[1]).parent.is_dir() for path in locale_folders()
    )


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
    return [json.loads(literal) for literal in sorted(literals)]
