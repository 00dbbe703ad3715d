"""Query parameters and results of a search, and escaped texts with search words in <mark>."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from operator import itemgetter
from typing import Generic, TypeVar

from markupsafe import Markup

from opportune.pagination import Page, Paging
from opportune.search.query import Query

H = TypeVar("H")
SNIPPET_CONTEXT_CHARS = 60
"""Characters of a snippet before the match."""
MAX_SNIPPET_CHARS = 180
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class SearchQuery(Paging):
    """Query parameters of a search, for pages and the API: `Annotated[SearchQuery, Query()]`. Any text is valid."""

    q: str = ""


class SearchResults(Page[H], Generic[H]):
    """One page of results, the best first."""

    query: str
    """The query, without invalid characters and cut to `MAX_QUERY_LENGTH` characters."""
    corrected: str = ""
    """Query with corrected spelling that was used instead, because the original one has no results; else empty."""


class Highlighter:
    """Marks search words at the start of words and of parts of CamelCase names.

    It searches for each word, which is faster than compiling a regular expression per query.
    """

    def __init__(self, words: list[str]) -> None:
        """`words`: folded search words, the longest first."""
        self.words = words

    def snippet(self, text: str) -> str:
        """Return an excerpt around the first match."""
        match = min((start for start, _ in self._matches(text)), default=0)
        start = max(0, match - SNIPPET_CONTEXT_CHARS)
        if start:
            start = text.find(" ", start, match) + 1 or start  # texts without spaces, such as Chinese, start anywhere
        end = start + MAX_SNIPPET_CHARS
        if end < len(text) and " " in text[start:end]:
            end = text.rfind(" ", start, end)
        before = "…" if start else ""
        after = " …" if end < len(text) else ""
        return f"{before}{self.mark(text[start:end])}{after}"

    def mark(self, text: str) -> str:
        """Return the escaped text with search words in <mark>."""
        marked_until = 0
        pieces = []
        for start, end in sorted(self._matches(text), key=itemgetter(0)):
            if start >= marked_until:
                pieces += [escape(text[marked_until:start]), "<mark>", escape(text[start:end]), "</mark>"]
                marked_until = end
        return "".join([*pieces, escape(text[marked_until:])])

    def _matches(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of matches. At the same position, the longest match comes first."""
        folded_text = _fold(text)
        for word in self.words:
            start = folded_text.find(word)
            while start >= 0:
                previous_character = text[start - 1 : start]
                is_part = text[start].isupper() and not previous_character.isupper()  # of a CamelCase name
                if is_part or not previous_character.isalnum():
                    yield start, start + len(word)
                start = folded_text.find(word, start + 1)


def _fold(text: str) -> str:
    """Return the text in lower case without accents, with the same length."""
    return NOT_ASCII.sub(lambda match: _base_letter(match[0]), text).lower()


@lru_cache(maxsize=1024)
def _base_letter(letter: str) -> str:
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if len(base.lower()) == 1 else letter


def highlight(text: str, query: str) -> Markup:
    """Escape a text and mark search words: `{{ book.title | highlight(search.q) }}`."""
    return Markup(Highlighter(Query.parse(query).highlighted_words).mark(text))  # noqa: S704 - escaped by the highlighter


def snippet(text: str, query: str) -> Markup:
    """Return an escaped excerpt around the first search word: `{{ book.summary | snippet(search.q) }}`."""
    return Markup(Highlighter(Query.parse(query).highlighted_words).snippet(text))  # noqa: S704 - escaped by the highlighter
