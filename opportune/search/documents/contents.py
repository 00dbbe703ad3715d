"""Contents of the tables of an index: entries in order of importance, keys and terms."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from opportune.db.models.model import utc_now
from opportune.search.documents.document import Document
from opportune.search.spelling import MIN_MISSPELT_LETTERS, Term
from opportune.search.words import name_suffix_keys, name_words, words

MAX_KEY_LENGTH = 200
MAX_TERM_LENGTH = 40
MIN_TERM_OCCURRENCES = 3
"""Rarer words of texts may be misspelt themselves, so no typo is corrected to one of them."""


@dataclass(frozen=True)
class NumberedDocument:
    """A document with its number; smaller numbers are more important."""

    number: int
    document: Document

    @property
    def row(self) -> tuple[str | int, ...]:
        return self.number, *self.document.row()

    @property
    def keys(self) -> Iterator[tuple[str, int, int]]:
        for key, depth in name_suffix_keys(self.document.name, dotted=self.document.is_dotted):
            if len(key) <= MAX_KEY_LENGTH:
                yield key, depth, self.number

    @property
    def words(self) -> tuple[list[str], list[str], list[str]]:
        """Words of name, title and text."""
        return name_words(self.document.name), words(self.document.title), words(self.document.text)


@dataclass(frozen=True)
class Contents:
    """Documents and metadata of an index to build."""

    source: str
    entries: list[NumberedDocument]
    skipped: int
    built_at: datetime

    @classmethod
    def from_documents(cls, source: str, documents: Iterable[Document], skipped: int) -> "Contents":
        """Number documents by importance. Duplicate slugs are stored once."""
        by_importance = sorted(documents, key=lambda document: document.importance, reverse=True)
        unique = {document.slug: document for document in by_importance}
        entries = [NumberedDocument(number, document) for number, document in enumerate(reversed(unique.values()), 1)]
        return cls(source, entries, skipped, utc_now())


class Vocabulary:
    """Counts the words of documents, for the correction of typos."""

    def __init__(self) -> None:
        self._words_of_names: Counter[str] = Counter()
        self._all_words: Counter[str] = Counter()

    def add(self, words: tuple[list[str], list[str], list[str]]) -> None:
        """Add the words of name, title and text."""
        self._words_of_names.update(words[0])
        for column in words:
            self._all_words.update(column)

    @property
    def terms(self) -> Iterator[Term]:
        for word, frequency in self._all_words.items():
            is_name = word in self._words_of_names
            is_usual = is_name or frequency >= MIN_TERM_OCCURRENCES
            if is_usual and MIN_MISSPELT_LETTERS <= len(word) <= MAX_TERM_LENGTH and not word.isdigit():
                yield Term(word, is_name, frequency)
