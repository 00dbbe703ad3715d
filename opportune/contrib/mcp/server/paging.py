"""Pages of the lists that a client requests."""

from collections.abc import Sequence
from typing import TypeVar

from mcp import MCPError, types

T = TypeVar("T")

MAX_ITEMS_PER_PAGE = 100


def select_page(items: Sequence[T], params: types.PaginatedRequestParams | None) -> tuple[list[T], str | None]:
    """Return the requested items, and the cursor of the next page.

    Raises:
        MCPError: The cursor is not one of this list.
    """
    cursors = [str(start) for start in range(MAX_ITEMS_PER_PAGE, len(items), MAX_ITEMS_PER_PAGE)]
    cursor = params.cursor if params else None
    if cursor is not None and cursor not in cursors:
        raise MCPError(types.INVALID_PARAMS, "This cursor is not valid. List from the start.")
    start = int(cursor or 0)
    end = start + MAX_ITEMS_PER_PAGE
    return [*items[start:end]], str(end) if end < len(items) else None
