"""Documents, their sources, their entries in the tables of an index, and results of searches."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from opportune.contrib.documents.similar_words import MIN_MISSPELT_LETTERS, Term
from opportune.db.models.model import utc_now
from opportune.errors import Busy
from opportune.i18n import gettext as _
from opportune.schemas import Schema
from opportune.search.query import name_suffix_keys, name_words, words

MAX_TEXT_LENGTH = 4000
"""Maximum characters of plain text for search and snippets."""
MAX_KEY_LENGTH = 200
MAX_TERM_LENGTH = 40
MIN_TERM_OCCURRENCES = 3
"""Rarer words of texts may be misspelt themselves, so no typo is corrected to one of them."""
MAX_RANKED_HITS = 400
"""Maximum number of ranked hits, and so of `total`."""


@dataclass(slots=True)
class Document:
    """A document of an index, found first by its name, then by its words. Subclasses add fields for display.

    Attributes:
        slug: Unique key.
        name: Name, which matches first.
        title: Title, whose words weigh more than those of the text.
        text: Plain text.
        parent: Slug of the parent document, or an empty string.
    """

    slug: str
    name: str
    title: str = field(default="", kw_only=True)
    text: str = field(default="", kw_only=True)
    parent: str = field(default="", kw_only=True)

    @property
    def is_dotted(self) -> bool:
        """True if suffixes of its name also match: `path.join` and `join` for `os.path.join`."""
        return False

    @property
    def importance(self) -> tuple[Any, ...]:
        """Sort key; smaller values are more important."""
        return len(self.name), self.name, self.slug

    def row(self) -> tuple[Any, ...]:
        return astuple(self)


def columns_of(document: type[Document]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(document))


class Source(Protocol):
    """A source of documents.

    Attributes:
        title: Name, such as `Python 3.11.7`.
    """

    title: str

    def batches(self) -> list[str]:
        """Return the names of batches: documents that are read together, such as those of a page."""
        ...

    def read(self, batches: Iterable[str]) -> "Generator[tuple[str, list[Any] | str], None, None]":
        """Yield the name of each batch with its documents, or with the reason why it cannot be read."""
        ...


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


Fields = Mapping[str, Any]
"""Values of a row by column name."""


class IndexMissing(Busy):
    """Raised if the index has not been built. The response is 503 unless a page handles the error."""

    def __init__(self, title: str) -> None:
        super().__init__(_("There is no index of %(title)s yet. Try again in a minute.", title=title))


class DocumentHit(Schema):
    """A document in search results. Subclasses add fields of the document for display."""

    slug: str
    name: str
    title: str
    name_html: str
    """Escaped name with search words in <mark>."""
    snippet_html: str
    """Escaped excerpt of the text with search words in <mark>."""
    similarity: SkipJsonSchema[float | None] = Field(default=None, exclude=True)
    """Similarity of meaning from 0.5 (minimum) to 1 (same); None if unknown."""


class DocumentRead(NamedTuple):
    """A document with its parent and children, as values by column name."""

    document: Fields
    parent: Fields | None
    children: Sequence[Fields]


class IndexStatus(Schema):
    """Contents of an index."""

    entries: int
    source: str
    """Title of the source, such as `Python 3.11.7`."""
    built_at: datetime
    mends_typos: bool
    """Whether misspelt words are corrected. PostgreSQL needs the extension pg_trgm for it."""
    skipped: int
    """Number of batches that could not be read."""
