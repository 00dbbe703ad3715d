"""What a search finds."""

from typing import Generic, TypeVar

from opportune.pagination import Page, Paging

H = TypeVar("H")


class SearchQuery(Paging):
    """The query of a search, for pages and the API: `Annotated[SearchQuery, Query()]`. Any text may be asked for."""

    q: str = ""


class SearchResults(Page[H], Generic[H]):
    """One page of what was found, the best first."""

    query: str
    """What was asked, without what no database takes, cut to `MAX_QUERY_LENGTH` characters."""
    corrected: str = ""
    """What was searched instead, because nothing was found and this is spelt nearly so; else nothing."""
