"""Reads a page of a list: its rows, the number of all rows, and whether there are neighbouring pages.

CRUD and the admin read all lists here. One statement selects a row more than the page has, and counts the rows. Large
lists are not counted, and their pages can begin at a row.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, UnaryExpression, and_, bindparam, false, or_, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.operators import asc_op, desc_op, nulls_first_op, nulls_last_op

from opportune.db.queries import row_count
from opportune.db.queries.row_count import RowCount, estimate_row_count, recent_counts
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l

LAST = "last"
WRONG_POSITION = _l("There is no such row. Begin with the first page.")
LIMIT, OFFSET = bindparam("limit", type_=Integer), bindparam("offset", type_=BigInteger)
MODIFIERS = (asc_op, desc_op, nulls_first_op, nulls_last_op)


class OrderTerm(NamedTuple):
    expression: ColumnElement[Any]
    is_descending: bool
    nulls_last: bool | None = None
    """Whether NULL comes last. None means the default of the database."""

    @classmethod
    def parse(cls, ordered: Any) -> "OrderTerm":
        """Return the term of an argument of `order_by`."""
        modifiers = []
        while isinstance(ordered, UnaryExpression) and ordered.modifier in MODIFIERS:
            modifiers.append(ordered.modifier)
            ordered = ordered.element
        has_nulls_rule = nulls_last_op in modifiers or nulls_first_op in modifiers
        return cls(ordered, desc_op in modifiers, nulls_last_op in modifiers if has_nulls_rule else None)

    @property
    def ordered(self) -> ColumnElement[Any]:
        """The argument of `order_by`."""
        ordered = self.expression.desc() if self.is_descending else self.expression.asc()
        if self.nulls_last is None:
            return ordered
        return ordered.nulls_last() if self.nulls_last else ordered.nulls_first()

    @property
    def reversed(self) -> "OrderTerm":
        nulls_last = None if self.nulls_last is None else not self.nulls_last
        return OrderTerm(self.expression, not self.is_descending, nulls_last)


class Position(NamedTuple):
    """Start or end of a page."""

    key: str
    """Identifier of the row beside the page. Empty for the last page."""
    is_before: bool
    """Whether the page ends at the row."""
    parameter: str

    @classmethod
    def parse(cls, parameter: str, text: str) -> "Position":
        """Return the position of a parameter: `last`, `after:KEY` or `before:KEY`.

        Raises:
            FieldErrors: The text is not a position.
        """
        direction, _, key = text.partition(":")
        if text != LAST and not (direction in ("after", "before") and key):
            raise FieldErrors({parameter: WRONG_POSITION})
        return cls(key, direction != "after", parameter)


Execute = Callable[[Select[Any], Mapping[str, Any]], Awaitable[Sequence[Sequence[Any]]]]
"""Function that runs a statement with values for `limit`, `offset` and `counted`, and returns its rows."""


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
    keys: Callable[[], Select[Any]]
    """Returns the query of their keys, to estimate their number."""
    identity: Hashable = None
    """Equal for lists of the same rows. If there are many, they are not counted again for some seconds."""


@dataclass(frozen=True)
class ListedRows:
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
) -> Cursor:
    """Return the cursor of a position.

    Raises:
        FieldErrors: `row`, which selects the row of the position, has no result.
    """
    if not position.key:
        return Cursor(terms, true(), is_before=True, is_last=True)
    values = (await session.execute(row.with_only_columns(*(term.expression for term in terms)))).first()
    if values is None:
        raise FieldErrors({position.parameter: WRONG_POSITION})
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    following = reverse(terms) if position.is_before else terms
    return Cursor(terms, comes_after(following, values, is_postgresql=is_postgresql), position.is_before)


def list_statement(
    selected: Select[Any], count: Select[int], order_by: Sequence[Any], cursor: Cursor | None = None
) -> ListStatement:
    """Return the statements of a list. `count` counts the same rows (`count_listed_rows`).

    The rows of a page that begins or ends at a cursor are selected from the nearest to the farthest.
    """
    page = selected.add_columns(count.scalar_subquery())
    if cursor:
        terms = reverse(cursor.terms) if cursor.is_before else cursor.terms
        page = page.where(cursor.condition).order_by(*(term.ordered for term in terms))
    else:
        page = page.order_by(*order_by)
    return ListStatement(page.limit(LIMIT).offset(OFFSET), count)


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
    """Read a page of a list, by its number or at the cursor of the statement."""
    started_at = monotonic()
    recent = recent_counts(session).find(counted_rows.identity) if counted_rows.identity else None
    offset = 0 if cursor else (page - 1) * size
    limits = {"limit": size + 1, "offset": offset, "counted": 0 if recent else row_count.MAX_COUNTED_ROWS + 1}
    selected = await execute(statement.rows, limits)
    rows = [*selected[:size]]
    has_more = len(selected) > size
    if not rows and page == 1 and cursor is None:
        count = RowCount(0)
    elif recent:
        count = recent
    else:
        # A page past the end has no number of rows, so it is read separately.
        counted = selected or await execute(statement.number, limits)
        count = RowCount(counted[0][-1])
    uses_cursors = count.is_large or cursor is not None
    if count.is_large:
        end = offset + len(rows)
        is_last_page = rows and not has_more and cursor is None
        if is_last_page:
            count = RowCount(end)
        else:
            seconds = monotonic() - started_at
            estimate = recent or await _estimate(session, counted_rows, count.number, seconds)
            # Clients that read page after page must not stop before the last one.
            seen = end + 1 if has_more else end
            count = RowCount(max(estimate.number, seen), is_exact=estimate.is_exact)
    if cursor and cursor.is_before:
        return ListedRows(rows[::-1], count, has_more, not cursor.is_last, uses_cursors)
    return ListedRows(rows, count, cursor is not None, has_more, uses_cursors)


async def _estimate(session: AsyncSession, rows: CountedRows, counted: int, seconds: float) -> RowCount:
    """Estimate the number of rows of a large list, and remember it.

    Args:
        counted: Number of counted rows: all of a table on SQLite, or only some.
        seconds: Seconds that counting took.
    """
    has_counted_all = counted > row_count.MAX_COUNTED_ROWS + 1
    estimate = RowCount(counted, is_exact=False) if has_counted_all else await estimate_row_count(session, rows.keys())
    if rows.identity:
        recent_counts(session).add(rows.identity, estimate, seconds if has_counted_all else 0)
    return estimate


def comes_after(terms: Sequence[OrderTerm], values: Sequence[Any], *, is_postgresql: bool) -> ColumnElement[bool]:
    """Return the condition for rows that are sorted after the row with these values.

    The first term is also compared alone, so that databases find the start in an index.
    """
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for term, value in zip(terms, values, strict=True):
        alternatives.append(and_(*equal, _follows(term, value, is_postgresql=is_postgresql)))
        equal.append(term.expression == value)  # IS NULL for None
    condition = or_(*alternatives)
    expression, is_descending, _ = terms[0]
    value = values[0]
    if value is None or _is_nullable(expression):
        return condition
    is_in_range = expression <= value if is_descending else expression >= value
    return and_(is_in_range, condition)


def reverse(terms: Sequence[OrderTerm]) -> list[OrderTerm]:
    return [term.reversed for term in terms]


def _follows(term: OrderTerm, value: Any, *, is_postgresql: bool) -> ColumnElement[bool]:
    """Return the condition for later values. NULL is the largest value of PostgreSQL, and the smallest of SQLite."""
    expression, is_descending, nulls_last = term
    null_is_after = is_postgresql != is_descending if nulls_last is None else nulls_last
    if value is None:
        return false() if null_is_after else expression.is_not(None)
    follows = expression < value if is_descending else expression > value
    return or_(follows, expression.is_(None)) if null_is_after and _is_nullable(expression) else follows


def _is_nullable(expression: ColumnElement[Any]) -> bool:
    return bool(getattr(expression, "nullable", True))
