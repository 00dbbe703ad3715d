"""Pages of a document, and limits of its extraction."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Page(NamedTuple):
    """A page, slide, sheet or section with its text."""

    number: int
    """Number of a page or slide, from 1. 0 for sections and sheets."""
    heading: str
    """Heading of a section or title of a slide; name of a sheet."""
    text: str


def section(heading: str, text: str) -> Iterator[Page]:
    """Yield a section, unless it is empty. The heading is the text of one that has only subsections."""
    if text.strip() or heading:
        yield Page(0, heading, text.strip() or heading)


def join_cells(cells: Iterable[str]) -> str:
    return " | ".join(cell.strip() for cell in cells if cell.strip())


class Limits(NamedTuple):
    max_pages: int
    max_length: int
    """Characters of all pages together."""
    max_seconds: int


class Unreadable(Exception):
    """The document cannot be read. The message is the code of a problem."""


MAX_UNPACKED_BYTES = 200_000_000
"""Size of all parts of an office file."""
