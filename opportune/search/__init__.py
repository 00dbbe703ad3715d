"""Full-text search in the rows of models, on both databases.

book_search = Searchable(Book, fields=["title", "summary"])
page = await paginate(session, book_search.search(session, "os pat"), paging)
"""

from opportune.search.query import MAX_QUERY_LENGTH, passage, queries_for
from opportune.search.results import SearchQuery, SearchResults, highlight, snippet
from opportune.search.searchable import RowHit, Searchable

__all__ = [
    "MAX_QUERY_LENGTH",
    "RowHit",
    "SearchQuery",
    "SearchResults",
    "Searchable",
    "highlight",
    "passage",
    "queries_for",
    "snippet",
]
