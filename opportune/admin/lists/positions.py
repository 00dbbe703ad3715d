"""Pages of admin lists. Pages of large lists begin at a row instead of a number."""

from dataclasses import dataclass, field

from sqladmin.pagination import Pagination
from starlette.datastructures import URL

from opportune.db.queries.row_count import RowCount

POSITION = "position"
"""Parameter with the position: `last`, `after:KEY` or `before:KEY`."""


@dataclass
class ListPage(Pagination):
    """A page of rows with the number of all rows."""

    total: RowCount = field(default_factory=lambda: RowCount(0))
    previous_url: URL | None = None
    next_url: URL | None = None
    """URLs of the neighbouring pages of a large list."""
    position: str = ""
    """Position of a page without a number."""
