"""Results of searches in documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from opportune.errors import Busy
from opportune.i18n import gettext as _
from opportune.schemas import Schema

MAX_RANKED_HITS = 400
"""Maximum number of ranked hits, and so of `total`."""

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
