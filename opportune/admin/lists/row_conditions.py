"""Conditions for the rows that a view lists, for statements that do not select from its table."""

from typing import Any

from sqlalchemy import ColumnElement, Select, tuple_
from starlette.requests import Request

from opportune.admin.base import BaseAdminView


def listed_keys(view: BaseAdminView, request: Request) -> Select[Any] | None:
    """Select the primary keys of the rows that the view lists for this user; None for all rows of the table."""
    rows = view.list_query(request).with_only_columns(*_keys(view), maintain_column_froms=True).order_by(None)
    lists_all = rows.whereclause is None and [*rows.get_final_froms()] == [view.table]
    return None if lists_all else rows


def row_conditions(view: BaseAdminView, request: Request) -> list[ColumnElement[bool]]:
    """Return the condition for rows that the view lists for this user; empty for all rows of the table."""
    rows, keys = listed_keys(view, request), _keys(view)
    return [] if rows is None else [(tuple_(*keys) if len(keys) > 1 else keys[0]).in_(rows)]


def _keys(view: BaseAdminView) -> list[Any]:
    return [view.mapper.get_property_by_column(key).class_attribute for key in view.pk_columns]
