"""The newest rows of a model, at most a fixed number, so that counts cost the same on large tables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Subquery, inspect
from sqlalchemy.orm import InstrumentedAttribute

from opportune.db.models.columns import is_indexed

MAX_COUNTED_ROWS = 10_000
"""Rows that are counted for a card of a model."""
MAX_CHART_ROWS = 100_000
"""Rows that are counted for a chart."""


def newest_rows(rows: Select[Any], at: InstrumentedAttribute[Any], limit: int, *columns: Any) -> Subquery:
    """Select the newest rows and one more, with their time as `moment`.

    Args:
        rows: Query for the rows of one model.
        at: Column with the time of each row. Without an index, rows with the highest keys are the newest.
        limit: Number of rows to read.
        columns: Further columns to select.
    """
    newest = rows.with_only_columns(at.label("moment"), *columns, maintain_column_froms=True).order_by(None)
    return newest.order_by(order_of_newest(at)).limit(limit + 1).subquery()


def order_of_newest(at: InstrumentedAttribute[Any]) -> Any:
    """Return the order with the newest rows first, in which the database reads no older ones."""
    mapper: Any = inspect(at.class_)
    key = mapper.primary_key[0]
    has_numbers = len(mapper.primary_key) == 1 and isinstance(key.type, Integer)
    return at.desc() if is_indexed(mapper.columns[at.key]) or not has_numbers else key.desc()


def is_between(column: Any, since: datetime, end: datetime) -> Sequence[ColumnElement[bool]]:
    return column >= since, column < end
