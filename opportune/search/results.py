"""What a search finds."""

from typing import Generic, TypeVar

from opportune.pagination import Page

H = TypeVar("H")


class SearchResults(Page[H], Generic[H]):
    """One page of what was found, the best first."""

    query: str
    """What was asked, without what no database takes, cut to `MAX_QUERY_LENGTH` characters."""
    corrected: str = ""
    """What was searched instead, because nothing was found and this is spelt nearly so; else nothing."""
