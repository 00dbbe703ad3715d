"""Rows that reference other rows by a foreign key of one or several columns."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Table, select, tuple_


def foreign_keys_to(table: Table) -> Iterator[ForeignKeyConstraint]:
    for referencing in table.metadata.tables.values():
        yield from (key for key in referencing.foreign_key_constraints if key.referred_table is table)


def references_rows(key: ForeignKeyConstraint, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a row references one of the rows with a condition."""
    # Without correlate(None) SQLAlchemy would take a self-referencing table for that of the outer query.
    rows = select(*(element.column for element in key.elements)).where(condition).correlate(None)
    return single_or_tuple(key.columns).in_(rows)


def single_or_tuple(columns: Iterable[ColumnElement[Any]]) -> ColumnElement[Any]:
    items = list(columns)
    return items[0] if len(items) == 1 else tuple_(*items)
