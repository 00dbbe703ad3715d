"""Build of an index: documents are read from a source, then written to the store of the database."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from opportune.contrib.documents.document import Document, IndexDefinition, Source
from opportune.contrib.documents.names import name_suffix_keys, name_words
from opportune.contrib.documents.spelling import MIN_MISSPELT_LETTERS, Term
from opportune.db.clock import utc_now
from opportune.db.errors import explain
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.progress import work
from opportune.schemas.text import make_storable
from opportune.search.folding import words

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
        return self.number, *map(make_storable, astuple(self.document))

    @property
    def keys(self) -> Iterator[tuple[str, int, int]]:
        for key, depth in name_suffix_keys(self.document.name, dotted=self.document.is_dotted):
            if len(key) <= MAX_KEY_LENGTH:
                yield key, depth, self.number

    @property
    def word_columns(self) -> tuple[list[str], list[str], list[str]]:
        """Words of name, title and text."""
        return name_words(self.document.name), words(self.document.title), words(self.document.text)


class Contents(NamedTuple):
    """Documents and metadata of an index to build."""

    source: str
    entries: list[NumberedDocument]
    skipped: Mapping[str, str]
    """Reasons by name of batches that could not be read."""
    built_at: datetime

    @classmethod
    def from_documents(
        cls, source: str, documents: Iterable[Document], skipped: Mapping[str, str] = MappingProxyType({})
    ) -> "Contents":
        """Number documents by importance. Of duplicate slugs, keep the most important document, or the last."""
        unique: dict[str, Document] = {}
        for document in documents:
            other = unique.get(document.slug)
            if other is None or document.importance <= other.importance:
                unique[document.slug] = document
        by_importance = sorted(unique.values(), key=lambda document: document.importance)
        entries = [NumberedDocument(number, document) for number, document in enumerate(by_importance, 1)]
        return cls(source, entries, skipped, utc_now())


class Vocabulary:
    """Counts the words of documents, for the correction of typos."""

    def __init__(self) -> None:
        self._words_of_names: Counter[str] = Counter()
        self._all_words: Counter[str] = Counter()

    def add(self, word_columns: tuple[list[str], list[str], list[str]]) -> None:
        """Add the words of name, title and text."""
        self._words_of_names.update(word_columns[0])
        for column in word_columns:
            self._all_words.update(column)

    @property
    def terms(self) -> Iterator[Term]:
        for word, frequency in self._all_words.items():
            is_name = word in self._words_of_names
            is_usual = is_name or frequency >= MIN_TERM_OCCURRENCES
            if is_usual and MIN_MISSPELT_LETTERS <= len(word) <= MAX_TERM_LENGTH and not word.isdigit():
                yield Term(word, is_name, frequency)


class Store(ABC):
    """Index to write, in one of the databases. Searches use the old one until the new one is complete."""

    faults: tuple[type[Exception], ...]
    """Errors of the database and its driver."""

    def __init__(self, index: IndexDefinition[Any], url: DatabaseUrl) -> None:
        self.index = index
        self.url = url

    def build(self, source: Source) -> Contents:
        """Replace the index by the documents of a source, and return them.

        Raises:
            OperatorError: There is nothing to read, or the target is not writable.
        """
        self.prepare()
        contents = Contents.from_documents(source.title, *_read_source(source))
        if not contents.entries:
            raise OperatorError(f"{source.title} contains nothing to index. The index is unchanged.")
        with work("Writing", len(contents.entries)) as progress:
            self.write(contents, progress.advance)
        return contents

    @contextmanager
    def explained_errors(self) -> Iterator[None]:
        """Turn errors of the database into OperatorError."""
        try:
            yield
        except self.faults as error:
            raise OperatorError(explain(error, self.url)) from error

    @abstractmethod
    def prepare(self) -> None:
        """Check that the index is writable, before the source is read.

        Raises:
            OperatorError: The database is not available or not writable.
        """

    @abstractmethod
    def write(self, contents: Contents, advance: Callable[[int], None]) -> None:
        """Replace the index. `advance` is called with the number of entries of each batch.

        Raises:
            OperatorError: As `prepare`, or the disk is full.
        """

    @abstractmethod
    def clear(self) -> bool:
        """Remove the index. Return False if there is none.

        Raises:
            OperatorError: As `prepare`.
        """


def _read_source(source: Source) -> tuple[list[Document], dict[str, str]]:
    """Return all documents, and the reasons for skipped batches by name."""
    documents: list[Document] = []
    skipped: dict[str, str] = {}
    batches = source.batches()
    with work("Reading", len(batches)) as progress, closing(source.read(batches)) as results:
        for name, result in results:
            if isinstance(result, str):
                skipped[name] = result
            else:
                documents += result
            progress.advance()
    return documents, skipped
