"""The inlines of a form: those that its view names, or the models whose rows depend on the row of the form."""

from collections.abc import Iterator
from typing import Any

from opportune.accounts.models import UserBase
from opportune.admin.base import Inline
from opportune.admin.lists.related import find_referring_views
from opportune.admin.views import AdminView
from opportune.db.models.columns import is_long
from opportune.project.layout import is_framework_class

MAX_DEFAULT_COLUMNS = 6
"""Columns of a table. Models that need more for a new row have their own form."""


def inlines_of(parent: AdminView) -> Iterator[tuple[Inline, AdminView, str]]:
    """Yield each inline with the view of its model and a prefix. Two inlines of one model have different prefixes."""
    prefixes: set[str] = set()
    inlines = _default_inlines(parent) if parent.inlines is None else parent.inlines
    for inline in inlines:
        view = parent.site.view_for_model(inline.model)
        if isinstance(view, AdminView):  # `admin/options.py` refuses declared inlines without a view
            prefix = view.identity if view.identity not in prefixes else f"{view.identity}-{inline.by}"
            prefixes.add(prefix)
            yield inline, view, prefix


def _default_inlines(parent: AdminView) -> Iterator[Inline]:
    """Yield an inline for each model with a foreign key that is required and cascades, if its rows fit into a table.

    Rows of a user are not part of the user, and models of the framework have their own pages.
    """
    if issubclass(parent.model, UserBase) or is_framework_class(parent.model):
        return
    for view, reference in find_referring_views(parent):
        if not isinstance(view, AdminView) or view.model is parent.model or not _is_deleted_with(view, reference):
            continue
        if columns := _table_columns(view, reference):
            yield Inline(view.model, reference, columns)


def _table_columns(view: AdminView, reference: str) -> list[str]:
    """Return the required columns and the first short ones. Empty if a new row needs a file or more columns."""
    columns = [name for name in view.names.in_form if name != reference and name in view.mapper.columns]
    fields = getattr(view.model, "model_fields", {})
    required = [name for name in columns if name in fields and fields[name].is_required()]
    if len(required) > MAX_DEFAULT_COLUMNS or view.files.keys() & {*required}:
        return []
    optional = [name for name in columns if name not in required and not is_long(view.mapper.columns[name])]
    selected = {*required, *optional[: MAX_DEFAULT_COLUMNS - len(required)]}
    return [name for name in columns if name in selected]


def _is_deleted_with(view: AdminView, name: str) -> bool:
    """Return whether a row is deleted with the row that this foreign key refers to, and cannot be without it."""
    column: Any = view.mapper.columns[name]
    rules = {(key.ondelete or "").upper() for key in column.foreign_keys}
    return not column.nullable and rules == {"CASCADE"}
