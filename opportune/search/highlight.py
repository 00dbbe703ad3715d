"""Escaped text with search words in <mark>."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from operator import itemgetter

from markupsafe import Markup

from opportune.search.query import Query

SNIPPET_CONTEXT_CHARS = 60
"""Characters of a snippet before the match."""
MAX_SNIPPET_CHARS = 180
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class Highlighter:
    """Marks search words at the start of words and of parts of CamelCase names.

    It searches for each word, which is faster than compiling a regular expression per query.
    """

    def __init__(self, marks: list[str]) -> None:
        self.marks = marks

    def name(self, name: str) -> str:
        return self._marked(name)

    def snippet(self, text: str) -> str:
        """Return an excerpt around the first match."""
        start = max(0, self._place(text) - SNIPPET_CONTEXT_CHARS)
        if start:
            start = text.find(" ", start) + 1
        end = start + MAX_SNIPPET_CHARS
        if end < len(text):
            end = text.rfind(" ", start, end) if " " in text[start:end] else end
        return f"{'…' if start else ''}{self._marked(text[start:end])}{' …' if end < len(text) else ''}"

    def _place(self, text: str) -> int:
        low = _plain(text)
        places = [low.find(f" {mark}") for mark in self.marks]
        return min((place for place in places if place >= 0), default=0)

    def _marked(self, text: str) -> str:
        done, pieces = 0, []
        for start, end in sorted(self._matches(text), key=itemgetter(0)):
            if start >= done:
                pieces += [escape(text[done:start]), "<mark>", escape(text[start:end]), "</mark>"]
                done = end
        return "".join([*pieces, escape(text[done:])])

    def _matches(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of matches. At the same position, the longest comes first, as in `marks`."""
        low = _plain(text)
        for mark in self.marks:
            start = low.find(mark)
            while start >= 0:
                if _begins(text, start):
                    yield start, start + len(mark)
                start = low.find(mark, start + 1)


def _begins(text: str, place: int) -> bool:
    """Return True if a word or a part of one begins there."""
    before = text[place - 1 : place]
    return not before.isalnum() or (text[place].isupper() and not before.isupper())


def _plain(text: str) -> str:
    """Return the text in lower case without accents, with the same length."""
    return (text if text.isascii() else NOT_ASCII.sub(_base, text)).lower()


def _base(match: re.Match[str]) -> str:
    return _base_letter(match[0])


@lru_cache(maxsize=1024)
def _base_letter(letter: str) -> str:
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if len(base.lower()) == 1 else letter


def highlight(text: str, query: str) -> Markup:
    """Escape a text and mark search words: `{{ book.title | highlight(search.q) }}`.

    Args:
        text: Plain text.
        query: Query of the search.
    """
    return Markup(Highlighter(Query.parse(query).marks).name(text))  # noqa: S704 - escaped by the highlighter


def snippet(text: str, query: str) -> Markup:
    """Return an escaped excerpt around the first search word: `{{ book.summary | snippet(search.q) }}`.

    Args:
        text: Plain text.
        query: Query of the search.
    """
    return Markup(Highlighter(Query.parse(query).marks).snippet(text))  # noqa: S704 - escaped by the highlighter
