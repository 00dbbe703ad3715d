"""Documents and their sources."""

from collections.abc import Generator, Iterable
from dataclasses import astuple, dataclass, field, fields
from typing import Any, NamedTuple, Protocol

MAX_TEXT_LENGTH = 4000
"""Maximum characters of plain text for search and snippets."""


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


class Batch(NamedTuple):
    """Unit of a source, such as a page. A resumed build reads it again if its mark, such as a date, has changed."""

    name: str
    mark: str


class Source(Protocol):
    """A source of documents.

    Attributes:
        title: Name, such as `Python 3.11.7`.
    """

    title: str

    def batches(self) -> list[Batch]:
        """Return all batches."""
        ...

    def read(self, batches: Iterable[Batch]) -> "Generator[tuple[Batch, list[Any] | str], None, None]":
        """Yield each batch with its documents, or with the reason why it cannot be read."""
        ...
