"""Full-text search in the rows of models (`Searchable`) and in documents (`DocumentIndex`), on both databases.

book_search = Searchable(Book, fields=["title", "summary"])
page = await paginate(session, book_search.search(session, "os pat"), paging)
"""

from opportune.search.documents.definition import IndexURL
from opportune.search.documents.document import (
    MAX_RANKED_HITS,
    MAX_TEXT_LENGTH,
    Batch,
    Document,
    DocumentHit,
    DocumentRead,
    IndexMissing,
    IndexStatus,
    Source,
)
from opportune.search.documents.index import DocumentIndex
from opportune.search.documents.search import DocumentSearch
from opportune.search.highlighting import highlight, snippet
from opportune.search.html import HtmlElement, parse_main
from opportune.search.models.searchable import RowHit, Searchable
from opportune.search.query import MAX_QUERY_LENGTH
from opportune.search.questions import passage, queries_for
from opportune.search.results import SearchQuery, SearchResults

__all__ = [
    "MAX_QUERY_LENGTH",
    "MAX_RANKED_HITS",
    "MAX_TEXT_LENGTH",
    "Batch",
    "Document",
    "DocumentHit",
    "DocumentIndex",
    "DocumentRead",
    "DocumentSearch",
    "HtmlElement",
    "IndexMissing",
    "IndexStatus",
    "IndexURL",
    "RowHit",
    "SearchQuery",
    "SearchResults",
    "Searchable",
    "Source",
    "highlight",
    "parse_main",
    "passage",
    "queries_for",
    "snippet",
]
