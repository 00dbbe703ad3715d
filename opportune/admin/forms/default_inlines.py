"""Inlines of a view that names none: rows that only exist with a row of its model, such as the lines of an order."""

from collections.abc import Iterator
from typing import Any

from opportune.accounts.models import UserBase
from opportune.admin.forms.inline import Inline
from opportune.admin.lists.related import find_referring_views
from opportune.admin.views import AdminView
from opportune.db.models.columns import is_long
from opportune.project.layout import is_framework_class

MAX_COLUMNS = 6
"""Columns of a table. Models that need more for a new row have their own form."""


def default_inlines(parent: AdminView) -> Iterator[Inline]:
    """Yield an inline for each model with a foreign key that is required and cascades, if its rows fit into a table.

    Rows of a user are not part of the user, and models of the framework have their own pages.
    """
    if issubclass(parent.model, UserBase) or is_framework_class(parent.model):
        return
    for view, name in find_referring_views(parent):
        if isinstance(view, AdminView) and view.model is not parent.model and _depends(view, name):
            columns = [column for column in view.form_names if column != name and column in view.mapper.columns]
            required = [column for column in columns if _is_required(view, column)]
            short = [column for column in columns if column in required or not is_long(view.mapper.columns[column])]
            optional = [column for column in short if column not in required]
            if short and len(required) <= MAX_COLUMNS and not view.files.keys() & {*required}:
                chosen = {*required, *optional[: MAX_COLUMNS - len(required)]}
                yield Inline(view.model, name, [column for column in short if column in chosen])


def _depends(view: AdminView, name: str) -> bool:
    """Return whether a row is deleted with the row that this foreign key refers to, and cannot be without it."""
    column: Any = view.mapper.columns[name]
    rules = {(key.ondelete or "").upper() for key in column.foreign_keys}
    return not column.nullable and rules == {"CASCADE"}


def _is_required(view: AdminView, name: str) -> bool:
    fields = getattr(view.model, "model_fields", {})
    return name in fields and bool(fields[name].is_required())
