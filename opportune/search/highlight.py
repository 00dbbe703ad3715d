"""Text with what was looked for in <mark>, and everything escaped."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from operator import itemgetter

from markupsafe import Markup

from opportune.search.query import Query

SNIPPET_CONTEXT_CHARS = 60
"""Characters of a snippet before what was found."""
MAX_SNIPPET_CHARS = 180
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class Highlighter:
    """Marks the words of a question where they begin a word, or a part of a CamelCase name.

    By looking for each of them: to compile a regular expression for each question takes longer than all of this.
    """

    def __init__(self, marks: list[str]) -> None:
        self.marks = marks

    def name(self, name: str) -> str:
        return self._marked(name)

    def snippet(self, text: str) -> str:
        """Some words of a text, around the first that was looked for."""
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
        for start, end in sorted(self._found(text), key=itemgetter(0)):
            if start >= done:
                pieces += [escape(text[done:start]), "<mark>", escape(text[start:end]), "</mark>"]
                done = end
        return "".join([*pieces, escape(text[done:])])

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the words stand; of those that begin at the same place, the longest comes first as in `marks`."""
        low = _plain(text)
        for mark in self.marks:
            start = low.find(mark)
            while start >= 0:
                if _begins(text, start):
                    yield start, start + len(mark)
                start = low.find(mark, start + 1)


def _begins(text: str, place: int) -> bool:
    """Whether a word begins there, or a part of one."""
    before = text[place - 1 : place]
    return not before.isalnum() or (text[place].isupper() and not before.isupper())


def _plain(text: str) -> str:
    """The text without capitals and accents, each letter in its place."""
    return (text if text.isascii() else NOT_ASCII.sub(_base, text)).lower()


def _base(match: re.Match[str]) -> str:
    return _base_letter(match[0])


@lru_cache(maxsize=1024)
def _base_letter(letter: str) -> str:
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if len(base.lower()) == 1 else letter


def highlight(text: str, query: str) -> Markup:
    """The text, escaped, with what was looked for in <mark>: `{{ book.title | highlight(wanted.q) }}`."""
    return Markup(Highlighter(Query.parse(query).marks).name(text))  # noqa: S704 - it is escaped there


def snippet(text: str, query: str) -> Markup:
    """Some words of a long text, around the first that was looked for: `{{ book.summary | snippet(wanted.q) }}`."""
    return Markup(Highlighter(Query.parse(query).marks).snippet(text))  # noqa: S704 - it is escaped there
