"""What an index of documents answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from opportune.errors import Busy
from opportune.schemas import Schema

MAX_RANKED_HITS = 400
"""Hits that are ranked, the most important documents first: `total` stops there."""

Fields = Mapping[str, Any]
"""A row, by the names of its columns."""


class IndexMissing(Busy):
    """Nothing has been indexed yet: the web answers 503 unless a page shows it in its own way."""

    def __init__(self, title: str) -> None:
        super().__init__(f"There is no index of {title} yet. Look again in a minute.")


class DocumentHit(Schema):
    """A document that was found. A subclass names further columns that are to be shown."""

    slug: str
    name: str
    title: str
    name_html: str
    """`name`, escaped, with what was looked for in <mark>. Safe."""
    snippet_html: str
    """Some words of the text, escaped, with what was looked for in <mark>. Safe."""
    similarity: SkipJsonSchema[float | None] = Field(default=None, exclude=True)
    """How well it fits the question by its meaning: 0.5 is just so, 1 the same. None where that was not told."""


class DocumentRead(NamedTuple):
    """A document and what is around it: rows by the names of their columns."""

    document: Fields
    parent: Fields | None
    children: Sequence[Fields]


class IndexStatus(Schema):
    """What the index holds."""

    entries: int
    source: str
    """What was indexed: `Python 3.11.7`."""
    built_at: datetime
    mends_typos: bool
    skipped: int
    """Batches that could not be read."""
