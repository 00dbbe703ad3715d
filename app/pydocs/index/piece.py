"""One entry on its way from a source into the index."""

from collections.abc import Generator, Iterable
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple, Protocol, get_args

from app.pydocs.schemas import Kind

LONGEST_TEXT = 4000
"""Characters of plain text that are searched, and that snippets are taken from."""

KINDS: tuple[str, ...] = get_args(Kind)
# What is worth the most is what most questions are about.
RANKS = dict(zip(KINDS, (0, 1, 2, 1, 3, 4, 4, 4, 5, 2, 5, 0, 1), strict=True))


@dataclass(slots=True)
class Piece:
    slug: str
    name: str
    kind: Kind
    module: str = ""
    title: str = ""
    signature: str = ""
    body: str = ""
    """Safe HTML."""
    text: str = ""
    parent: str = ""
    """The slug of what it belongs to."""
    source: str = ""

    @property
    def is_symbol(self) -> bool:
        return self.kind not in ("section", "term", "other", "topic")

    @property
    def importance(self) -> tuple[Any, ...]:
        """The smaller, the more likely it is what somebody looks for."""
        is_private = self.name.startswith("_") or "._" in self.name
        return is_private, RANKS[self.kind], self.name.count("."), len(self.name), self.name, self.slug

    def row(self) -> tuple[Any, ...]:
        return astuple(self)


class Batch(NamedTuple):
    """A module or a page: what is done as a whole, and need not be done again while its mark is the same."""

    name: str
    mark: str


class Source(Protocol):
    """Where documentation comes from."""

    title: str
    """`Python 3.11.7`."""

    def batches(self) -> list[Batch]: ...

    def read(self, batches: Iterable[Batch]) -> Generator[tuple[Batch, list[Piece] | str], None, None]:
        """The pieces of each, or a line on why it is left out."""
        ...
