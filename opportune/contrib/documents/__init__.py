"""Full-text search in documents outside the database, such as the pages of a folder."""

from opportune.contrib.documents.document import (
    MAX_RANKED_HITS,
    MAX_TEXT_LENGTH,
    Document,
    DocumentHit,
    DocumentRead,
    IndexMissing,
    IndexStatus,
    IndexUrl,
    Source,
)
from opportune.contrib.documents.html import HtmlElement, parse_main
from opportune.contrib.documents.index import DocumentIndex
from opportune.contrib.documents.search import DocumentSearch

__all__ = [
    "MAX_RANKED_HITS",
    "MAX_TEXT_LENGTH",
    "Document",
    "DocumentHit",
    "DocumentIndex",
    "DocumentRead",
    "DocumentSearch",
    "HtmlElement",
    "IndexMissing",
    "IndexStatus",
    "IndexUrl",
    "Source",
    "parse_main",
]
