"""Language reference included in Python: keywords and topics of `help("for")`."""

import keyword
import re
from collections.abc import Iterator
from dataclasses import replace
from pydoc import Helper

from app.pydocs.documents import Piece
from app.pydocs.sources.docstrings import piece_of

try:
    from pydoc_data.topics import topics
except ImportError:  # some distributions omit it
    topics = {}  # type: ignore[misc]

SOURCE = "the language reference"
UNDERLINE = re.compile(r"\A[*=]{3,}\n")
SECTION = re.compile(r"\n\n\n(?=[^\n]+\n=+\n)")
WITHIN = {"match": ("compound", 'The "match" statement'), "case": ("compound", 'The "match" statement')}
"""Topics and headings of keywords that help() does not have."""


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
    """Return the text about a keyword; empty for None, True and False."""
    if word in WITHIN:
        label, title = WITHIN[word]
        return next((part for part in SECTION.split(topics.get(label, "")) if part.startswith(title)), "")
    target: str | tuple[str, ...] = word
    while isinstance(target, str) and target:  # follow references, such as elif to if, and `and` to BOOLEAN
        target = Helper.keywords.get(target) or Helper.topics.get(target) or ""
    return topics.get(target[0], "") if target else ""


def halves(text: str) -> tuple[str, str]:
    """Return the heading and the text below it."""
    title, _, body = text.strip().partition("\n")
    return title.replace('"', "").strip(), UNDERLINE.sub("", body)
