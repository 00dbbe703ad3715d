"""What the tables of an index hold, on each database: entries in their order of importance, keys and terms."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from opportune.db.models.model import utc_now
from opportune.search.documents.document import Document
from opportune.search.spelling import MIN_MISSPELT_LETTERS, Term
from opportune.search.words import keys, name_words, words

MAX_KEY_LENGTH = 200
MAX_TERM_LENGTH = 40
MIN_TERM_OCCURRENCES = 3
"""Words of texts that occur less often may be misspelt themselves."""


@dataclass(frozen=True)
class Numbered:
    """A document under its number: the smaller, the more important."""

    number: int
    document: Document

    @property
    def row(self) -> tuple[str | int, ...]:
        return self.number, *self.document.row()

    @property
    def keys(self) -> Iterator[tuple[str, int, int]]:
        for key, depth in keys(self.document.name, dotted=self.document.is_dotted):
            if len(key) <= MAX_KEY_LENGTH:
                yield key, depth, self.number

    @property
    def words(self) -> tuple[list[str], list[str], list[str]]:
        """The words of name, title and text."""
        return name_words(self.document.name), words(self.document.title), words(self.document.text)


@dataclass(frozen=True)
class Contents:
    source: str
    entries: list[Numbered]
    skipped: int
    built_at: datetime

    @classmethod
    def of(cls, source: str, documents: Iterable[Document], skipped: int) -> "Contents":
        """What two batches call by the same slug is kept once."""
        ordered = {each.slug: each for each in sorted(documents, key=lambda each: each.importance, reverse=True)}
        kept = [Numbered(number, each) for number, each in enumerate(reversed(ordered.values()), 1)]
        return cls(source, kept, skipped, utc_now())


class Vocabulary:
    """Counts the words of documents that somebody may misspell."""

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()
        self._all: Counter[str] = Counter()

    def add(self, found: tuple[list[str], list[str], list[str]]) -> None:
        self._names.update(found[0])
        for column in found:
            self._all.update(column)

    @property
    def terms(self) -> Iterator[Term]:
        for word, frequency in self._all.items():
            is_name = word in self._names
            is_usual = is_name or frequency >= MIN_TERM_OCCURRENCES
            if is_usual and MIN_MISSPELT_LETTERS <= len(word) <= MAX_TERM_LENGTH and not word.isdigit():
                yield Term(word, is_name, frequency)
