"""Query parameters and results of a search."""

from typing import Generic, TypeVar

from opportune.pagination import Page, Paging

H = TypeVar("H")


class SearchQuery(Paging):
    """Query parameters of a search, for pages and the API: `Annotated[SearchQuery, Query()]`. Any text is valid."""

    q: str = ""


class SearchResults(Page[H], Generic[H]):
    """One page of results, the best first."""

    query: str
    """The query, without invalid characters and cut to `MAX_QUERY_LENGTH` characters."""
    corrected: str = ""
    """Query with corrected spelling that was used instead, because the original one has no results; else empty."""
