"""Reads a page of a list: its rows, the number of all rows, and whether there are neighbouring pages.

CRUD and the admin read all lists here. One statement selects a row more than the page has, and counts the rows. Large
lists are not counted, and their pages can begin at a row.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, bindparam, true
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.queries import row_count
from opportune.db.queries.keyset import OrderTerm, Position, comes_after, reverse
from opportune.db.queries.row_count import RowCount, estimate_row_count, recent_counts

Execute = Callable[[Select[Any], Mapping[str, Any]], Awaitable[Sequence[Sequence[Any]]]]
"""Run a statement with values for `limit`, `offset` and `counted`, and return its rows."""


class Cursor(NamedTuple):
    """Row at which a page begins or ends."""

    terms: Sequence[OrderTerm]
    condition: ColumnElement[bool]
    is_before: bool
    is_last: bool = False
    """Whether it is the end of the list and not a row."""


class ListStatement(NamedTuple):
    """The statements of a list, with the parameters `limit`, `offset` and `counted`."""

    rows: Select[Any]
    """Selects the rows of a page. The last column is the number of all rows, up to a limit."""
    number: Select[Any]
    """Selects the number of all rows, up to a limit."""


class CountedRows(NamedTuple):
    """All rows of a list."""

    keys: Callable[[], Select[Any]]
    """Returns the query of their keys, to estimate their number."""
    identity: Hashable = None
    """Equal for lists of the same rows. If there are many, they are not counted again for some seconds."""


@dataclass(frozen=True)
class ListedRows:
    """The rows of a page."""

    rows: Sequence[Any]
    """The result rows of the statement, in the order of the list."""
    count: RowCount
    has_previous: bool
    """Whether rows precede a page that begins or ends at a row."""
    has_next: bool
    uses_cursors: bool
    """Whether the neighbouring pages begin at a row. The list is large, or this page also begins or ends at a row."""


async def find_cursor(
    session: AsyncSession, position: Position, terms: Sequence[OrderTerm], row: Select[Any]
) -> Cursor | None:
    """Return the cursor of a position. None if `row`, which selects the row of the position, has no result."""
    if not position.key:
        return Cursor(terms, true(), is_before=True, is_last=True)
    values = (await session.execute(row.with_only_columns(*(term.expression for term in terms)))).first()
    if values is None:
        return None
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    following = reverse(terms) if position.is_before else terms
    return Cursor(terms, comes_after(following, values, is_postgresql=is_postgresql), position.is_before)


def list_statement(
    selected: Select[Any], count: Select[int], order_by: Sequence[Any], cursor: Cursor | None = None
) -> ListStatement:
    """Return the statements of a list.

    Args:
        selected: The rows with the columns to read.
        count: Counts the same rows (`count_listed_rows`).
        order_by: The arguments of `order_by`.
        cursor: The row at which the page begins or ends. Its rows are selected from the nearest to the farthest.
    """
    page = selected.add_columns(count.scalar_subquery())
    if cursor:
        terms = reverse(cursor.terms) if cursor.is_before else cursor.terms
        page = page.where(cursor.condition).order_by(*(term.ordered for term in terms))
    else:
        page = page.order_by(*order_by)
    limits = bindparam("limit", type_=Integer), bindparam("offset", type_=BigInteger)
    return ListStatement(page.limit(limits[0]).offset(limits[1]), count)


async def read_page(
    session: AsyncSession,
    execute: Execute,
    statement: ListStatement,
    counted_rows: CountedRows,
    *,
    size: int,
    page: int = 1,
    cursor: Cursor | None = None,
) -> ListedRows:
    """Read a page of a list.

    Args:
        session: Session for the estimate of a large list.
        execute: Function that runs the statements.
        statement: The statements.
        counted_rows: All rows of the list.
        size: Rows per page.
        page: Number of the page. It has no effect with a cursor.
        cursor: The cursor of the statement.
    """
    started_at = monotonic()
    recent = recent_counts(session).find(counted_rows.identity) if counted_rows.identity else None
    offset = 0 if cursor else (page - 1) * size
    limits = {"limit": size + 1, "offset": offset, "counted": 0 if recent else row_count.MAX_COUNTED_ROWS + 1}
    selected = await execute(statement.rows, limits)
    if not selected and page == 1 and cursor is None:
        count = RowCount(0)
    else:
        count = recent or await _read_count(execute, statement, selected, limits)
    seconds = monotonic() - started_at
    rows, has_more = [*selected[:size]], len(selected) > size
    uses_cursors = count.is_large or cursor is not None
    if count.is_large:
        end = offset + len(rows)
        if rows and not (cursor or has_more):
            count = RowCount(end)
        else:
            estimate = recent or await _estimate(session, counted_rows, count.number, seconds)
            # Clients that read page after page must not stop before the last one.
            count = RowCount(max(estimate.number, end + has_more), is_exact=estimate.is_exact)
    if cursor and cursor.is_before:
        return ListedRows(rows[::-1], count, has_more, not cursor.is_last, uses_cursors)
    return ListedRows(rows, count, cursor is not None, has_more, uses_cursors)


async def _read_count(
    execute: Execute, statement: ListStatement, selected: Sequence[Sequence[Any]], limits: Mapping[str, Any]
) -> RowCount:
    """Return the number in the selected rows. A page past the end has none, so it is read separately."""
    return RowCount(selected[0][-1] if selected else (await execute(statement.number, limits))[0][0])


async def _estimate(session: AsyncSession, rows: CountedRows, counted: int, seconds: float) -> RowCount:
    """Estimate the number of rows of a large list, and remember it.

    Args:
        session: Session of the database.
        rows: All rows of the list.
        counted: How many of them were counted: all of a table on SQLite, or only some.
        seconds: Seconds that this took.
    """
    has_counted_all = counted > row_count.MAX_COUNTED_ROWS + 1
    estimate = RowCount(counted, is_exact=False) if has_counted_all else await estimate_row_count(session, rows.keys())
    if rows.identity:
        recent_counts(session).add(rows.identity, estimate, seconds if has_counted_all else 0)
    return estimate
