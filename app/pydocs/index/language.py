"""The language reference as Python carries it along: what `help("for")` shows of keywords and topics."""

import keyword
import re
from collections.abc import Iterator
from pydoc import Helper
from pydoc_data.topics import topics

from app.pydocs.index.docstrings import first_line, to_html
from app.pydocs.index.piece import LONGEST_TEXT, Piece
from app.pydocs.schemas import Kind

SOURCE = "the language reference"
SECTION = re.compile(r"\n\n\n(?=[^\n]+\n=+\n)")
WITHIN = {"match": ("compound", 'The "match" statement'), "case": ("compound", 'The "match" statement')}
"""Keywords of which help() knows nothing, by topic and heading."""


def language_pieces() -> Iterator[Piece]:
    for word in [*keyword.kwlist, *WITHIN]:
        if text := text_of(word):
            yield _piece(f"keyword/{word}", word, "keyword", text)
    for label, text in topics.items():
        if not keyword.iskeyword(label):
            yield _piece(f"topic/{label}", heading(text), "topic", text)


def text_of(word: str) -> str:
    """What there is to read about a keyword; nothing of None, True and False, which are values."""
    if word in WITHIN:
        label, title = WITHIN[word]
        return next((part for part in SECTION.split(topics[label]) if part.startswith(title)), "")
    return topics.get(_label(word), "")


def _label(word: str) -> str:
    """Follows help()'s own table: elif is told with if, and `and` with the topic BOOLEAN."""
    found: str | tuple[str, ...] = word
    while isinstance(found, str) and found:
        found = Helper.keywords.get(found) or Helper.topics.get(found) or ""
    return found[0] if found else ""


def heading(text: str) -> str:
    return text.partition("\n")[0].replace('"', "").strip()


def _piece(slug: str, name: str, kind: Kind, text: str) -> Piece:
    text = text.strip()
    body = re.sub(r"\A[^\n]+\n[*=]{3,}\n", "", text)  # the page has the heading already
    return Piece(
        slug=slug,
        name=name,
        kind=kind,
        title=heading(text) if kind == "keyword" else first_line(body, name),
        body=to_html(body),
        text=" ".join(text.split())[:LONGEST_TEXT],
        source=SOURCE,
    )
