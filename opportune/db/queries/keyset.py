"""Pages of large lists that begin at a row instead of a number, because skipping many rows takes long."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, UnaryExpression, and_, false, or_
from sqlalchemy.sql.operators import asc_op, desc_op, nulls_first_op, nulls_last_op

LAST = "last"

MODIFIERS = (asc_op, desc_op, nulls_first_op, nulls_last_op)


class OrderTerm(NamedTuple):
    """An expression to sort by."""

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


@dataclass(frozen=True)
class Position:
    """Start or end of a page."""

    key: str
    """Identifier of the row beside the page. Empty for the last page."""
    is_before: bool
    """Whether the page ends at the row."""

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """Return the position of a parameter (`last`, `after:KEY` or `before:KEY`), or None if it is not valid."""
        direction, _, key = text.partition(":")
        if text == LAST:
            return cls("", is_before=True)
        return cls(key, direction == "before") if direction in ("after", "before") and key else None


def comes_after(terms: Sequence[OrderTerm], values: Sequence[Any], *, is_postgresql: bool) -> ColumnElement[bool]:
    """Return the condition for rows that are sorted after the row with these values.

    The first term is also compared alone, so that databases find the start in an index.
    """
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for term, value in zip(terms, values, strict=True):
        alternatives.append(and_(*equal, _follows(term, value, is_postgresql)))
        equal.append(term.expression == value)  # IS NULL for None
    condition = or_(*alternatives)
    expression, is_descending, _ = terms[0]
    value = values[0]
    if value is None or _is_nullable(expression):
        return condition
    return and_(expression <= value if is_descending else expression >= value, condition)


def reverse(terms: Sequence[OrderTerm]) -> list[OrderTerm]:
    return [term.reversed for term in terms]


def _follows(term: OrderTerm, value: Any, is_postgresql: bool) -> ColumnElement[bool]:
    """Return the condition for later values. NULL is the largest value of PostgreSQL, and the smallest of SQLite."""
    expression, is_descending, nulls_last = term
    null_is_after = is_postgresql != is_descending if nulls_last is None else nulls_last
    if value is None:
        return false() if null_is_after else expression.is_not(None)
    follows = expression < value if is_descending else expression > value
    return or_(follows, expression.is_(None)) if null_is_after and _is_nullable(expression) else follows


def _is_nullable(expression: ColumnElement[Any]) -> bool:
    return bool(getattr(expression, "nullable", True))
