"""Marks that keep the order of words in languages that are written from right to left."""

import re
import unicodedata
from typing import Any

from markupsafe import Markup

from opportune.i18n.languages import get_language

ISOLATED = re.compile("\u2068[^\u2068\u2069]*\u2069")


def is_right_to_left() -> bool:
    """Return whether the current language is written from right to left."""
    return get_language().direction == "rtl"


def isolate(value: Any) -> Any:
    """Isolate a text with letters of the other direction, such as a name or an e-mail address.

    Numbers, texts that have the marks, and URLs, which programs read up to the next space, are returned unchanged. So
    are all texts in languages that are written from left to right.
    """
    if not (isinstance(value, str) and is_right_to_left()) or "://" in (text := str(value)):
        return value
    visible_text = ISOLATED.sub("", value.striptags() if isinstance(value, Markup) else text)
    if all(unicodedata.bidirectional(character) not in ("L", "ES") for character in visible_text):
        return value
    return Markup("\u2068{}\u2069").format(value) if isinstance(value, Markup) else f"\u2068{text}\u2069"
