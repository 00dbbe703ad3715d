"""Pages of large lists that begin at a row instead of a number, because skipping many rows takes long."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqladmin.pagination import Pagination
from sqlalchemy import ColumnElement, and_, false, or_
from starlette.datastructures import URL

from opportune.db.queries.row_count import RowCount

MAX_NUMBERED_PAGES = 100
"""Pages of a large list that have a number."""
POSITION = "position"
"""Parameter with the position: `last`, `after:KEY` or `before:KEY`."""
LAST = "last"

OrderTerm = tuple[ColumnElement[Any], bool]
"""An expression to sort by, and whether it is descending."""


@dataclass
class ListPage(Pagination):
    """A page of rows with the number of all rows."""

    total: RowCount = field(default_factory=lambda: RowCount(0))
    previous_url: URL | None = None
    next_url: URL | None = None
    """URLs of the neighbouring pages of a large list."""
    position: str = ""
    """Position of a page without a number."""


@dataclass(frozen=True)
class Position:
    """Start or end of a page."""

    key: str
    """Identifier of the row beside the page. Empty for the last page."""
    is_before: bool
    """Whether the page ends at the row."""

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """Return the position of a parameter, or None if it is not valid."""
        direction, _, key = text.partition(":")
        if text == LAST:
            return cls("", is_before=True)
        return cls(key, direction == "before") if direction in ("after", "before") and key else None


def comes_after(terms: Sequence[OrderTerm], values: Sequence[Any], *, is_postgresql: bool) -> ColumnElement[bool]:
    """Return the condition for rows that are sorted after the row with these values.

    The first term is also compared alone, so that databases find the start in an index.
    """
    pairs = [
        (expression, is_descending, value) for (expression, is_descending), value in zip(terms, values, strict=True)
    ]
    alternatives = [
        and_(*(_equals(expression, value) for expression, _, value in pairs[:index]), _follows(*pair, is_postgresql))
        for index, pair in enumerate(pairs)
    ]
    expression, is_descending, value = pairs[0]
    condition = or_(*alternatives)
    if value is None or _is_nullable(expression):
        return condition
    return and_(expression <= value if is_descending else expression >= value, condition)


def reverse(terms: Sequence[OrderTerm]) -> list[OrderTerm]:
    return [(expression, not is_descending) for expression, is_descending in terms]


def _equals(expression: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return expression.is_(None) if value is None else expression == value


def _follows(
    expression: ColumnElement[Any], is_descending: bool, value: Any, is_postgresql: bool
) -> ColumnElement[bool]:
    """Return the condition for later values. NULL is the largest value of PostgreSQL, and the smallest of SQLite."""
    null_is_after = is_postgresql != is_descending
    if value is None:
        return false() if null_is_after else expression.is_not(None)
    follows = expression < value if is_descending else expression > value
    return or_(follows, expression.is_(None)) if null_is_after and _is_nullable(expression) else follows


def _is_nullable(expression: ColumnElement[Any]) -> bool:
    return bool(getattr(expression, "nullable", True))
