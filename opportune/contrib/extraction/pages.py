"""Pages of a document, and limits of its extraction."""

from typing import NamedTuple


class Page(NamedTuple):
    """A page, slide, sheet or section with its text."""

    number: int
    """Number of a page or slide, from 1. 0 for sections and sheets."""
    heading: str
    """Heading of a section or title of a slide; name of a sheet."""
    text: str


class Limits(NamedTuple):
    max_pages: int
    max_length: int
    """Characters of all pages together."""
    max_seconds: int


class Unreadable(Exception):
    """The document cannot be read. The message is the code of a problem."""


MAX_UNPACKED_BYTES = 200_000_000
"""Size of all parts of an office file."""
