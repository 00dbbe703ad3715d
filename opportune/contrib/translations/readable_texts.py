"""Texts of templates and code that a user can read."""

import re
from typing import NamedTuple

EXPRESSION = "\x01"
"""Character in the place of a template expression."""
IDENTIFIER = rf"[\w-]*-{EXPRESSION}|{EXPRESSION}-[\w-]*"
"""Words that belong to an expression, such as `filter-{{ name }}`."""
BUILT_ATTRIBUTE = r'[\w-]+="[^"]*"'
"""Attribute of HTML that a block builds."""
PLACEHOLDER = r"\{\w+\}"
"""Value that `str.format` fills in."""
NOT_READABLE = re.compile(rf"{IDENTIFIER}|^Subject: |{BUILT_ATTRIBUTE}|{PLACEHOLDER}")
WORD = re.compile(r"[^\W\d_]{2}")


class Unmarked(NamedTuple):
    line: int
    text: str


def has_words(text: str) -> bool:
    return bool(WORD.search(NOT_READABLE.sub("", text)))


def readable(text: str) -> str:
    return " ".join(text.replace(EXPRESSION, "{{ … }}").split())
