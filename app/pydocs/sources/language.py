"""The language reference as Python carries it along: what `help("for")` shows of keywords and topics."""

import keyword
import re
from collections.abc import Iterator
from dataclasses import replace
from pydoc import Helper

from app.pydocs.documents import Piece
from app.pydocs.sources.docstrings import piece_of

try:
    from pydoc_data.topics import topics
except ImportError:  # a Python without its manual
    topics = {}  # type: ignore[misc]

SOURCE = "the language reference"
UNDERLINE = re.compile(r"\A[*=]{3,}\n")
SECTION = re.compile(r"\n\n\n(?=[^\n]+\n=+\n)")
WITHIN = {"match": ("compound", 'The "match" statement'), "case": ("compound", 'The "match" statement')}
"""Keywords of which help() knows nothing, by topic and heading."""


def language_pieces() -> Iterator[Piece]:
    for word in [*keyword.kwlist, *WITHIN]:
        if text := text_of(word):
            title, body = halves(text)
            yield replace(piece_of(body, f"keyword/{word}", word, "keyword", source=SOURCE), title=title)
    for label, text in topics.items():
        if not keyword.iskeyword(label):
            title, body = halves(text)
            yield piece_of(body, f"topic/{label}", title, "topic", source=SOURCE)


def text_of(word: str) -> str:
    """What there is to read about a keyword; nothing of None, True and False, which are values."""
    if word in WITHIN:
        label, title = WITHIN[word]
        return next((part for part in SECTION.split(topics.get(label, "")) if part.startswith(title)), "")
    found: str | tuple[str, ...] = word
    while isinstance(found, str) and found:  # help()'s own table tells of elif with if, and of `and` with BOOLEAN
        found = Helper.keywords.get(found) or Helper.topics.get(found) or ""
    return topics.get(found[0], "") if found else ""


def halves(text: str) -> tuple[str, str]:
    """The heading, and what is below its line."""
    title, _, body = text.strip().partition("\n")
    return title.replace('"', "").strip(), UNDERLINE.sub("", body)
