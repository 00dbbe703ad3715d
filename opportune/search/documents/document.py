"""One entry on its way from a source into an index of documents."""

from collections.abc import Generator, Iterable
from dataclasses import astuple, dataclass, field, fields
from typing import Any, NamedTuple, Protocol

MAX_TEXT_LENGTH = 4000
"""Characters of plain text that are searched, and that snippets are taken from."""


@dataclass(slots=True)
class Document:
    """A text that is found by its name first and by its words then. A subclass adds texts to be shown."""

    slug: str
    """Unique in the index."""
    name: str
    title: str = field(default="", kw_only=True)
    text: str = field(default="", kw_only=True)
    parent: str = field(default="", kw_only=True)
    """The slug of what it belongs to, or nothing."""

    @property
    def is_dotted(self) -> bool:
        """Whether it may be called by the end of its name: `os.path.join` by `path.join` and `join`."""
        return False

    @property
    def importance(self) -> tuple[Any, ...]:
        """The smaller, the more likely it is what somebody looks for."""
        return len(self.name), self.name, self.slug

    def row(self) -> tuple[Any, ...]:
        return astuple(self)


def columns_of(document: type[Document]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(document))


class Batch(NamedTuple):
    """What is read as a whole, such as a page: it need not be read again while its mark is the same."""

    name: str
    mark: str


class Source(Protocol):
    """Where documents come from."""

    title: str
    """What it is called, such as `Python 3.11.7`."""

    def batches(self) -> list[Batch]: ...

    def read(self, batches: Iterable[Batch]) -> "Generator[tuple[Batch, list[Any] | str], None, None]":
        """The documents of each, or a line on why it is left out."""
        ...
