"""The language reference as Python carries it along: what `help("for")` shows of keywords and topics."""

import keyword
import re
from collections.abc import Iterator
from pydoc import Helper
from pydoc_data.topics import topics

from app.pydocs.documents import Piece
from app.pydocs.sources.docstrings import first_line, to_html
from opportune.search import MAX_TEXT_LENGTH

SECTION = re.compile(r"\n\n\n(?=[^\n]+\n=+\n)")
WITHIN = {"match": ("compound", 'The "match" statement'), "case": ("compound", 'The "match" statement')}
"""Keywords of which help() knows nothing, by topic and heading."""


def language_pieces() -> Iterator[Piece]:
    for word in [*keyword.kwlist, *WITHIN]:
        if text := text_of(word):
            yield _piece(f"keyword/{word}", Piece("", word, "keyword", title=heading(text.strip())), text)
    for label, text in topics.items():
        if not keyword.iskeyword(label):
            yield _piece(f"topic/{label}", Piece("", heading(text), "topic"), text)


def text_of(word: str) -> str:
    """What there is to read about a keyword; nothing of None, True and False, which are values."""
    if word in WITHIN:
        label, title = WITHIN[word]
        return next((part for part in SECTION.split(topics[label]) if part.startswith(title)), "")
    found: str | tuple[str, ...] = word
    while isinstance(found, str) and found:  # help()'s own table tells of elif with if, and of `and` with BOOLEAN
        found = Helper.keywords.get(found) or Helper.topics.get(found) or ""
    return topics.get(found[0], "") if found else ""


def heading(text: str) -> str:
    return text.partition("\n")[0].replace('"', "").strip()


def _piece(slug: str, piece: Piece, text: str) -> Piece:
    text = text.strip()
    body = re.sub(r"\A[^\n]+\n[*=]{3,}\n", "", text)  # the page has the heading already
    piece.slug, piece.source = slug, "the language reference"
    piece.title = piece.title or first_line(body, piece.name)
    piece.body, piece.text = to_html(body), " ".join(text.split())[:MAX_TEXT_LENGTH]
    return piece
