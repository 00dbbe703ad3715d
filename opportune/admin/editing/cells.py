"""Cells of a list that a user may edit in place."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from starlette.requests import Request

from opportune.admin.authorization import may_edit_any
from opportune.admin.forms.edit_conflicts import describe_conflicts
from opportune.admin.forms.view_forms import unwritable_columns
from opportune.admin.lists.row_keys import key_of, match_primary_keys
from opportune.admin.views import AdminView
from opportune.db.models.columns import python_type_of
from opportune.i18n import gettext


def editable_names(view: AdminView) -> list[str]:
    """Return the columns of `editable` that the current user may see and that the form has."""
    fields = view.names.in_form if view.editable else ()
    return [name for name in map(view.names.of, view.editable) if name in fields]


def toggled_names(view: AdminView) -> list[str]:
    """Return the columns of `editable` with yes or no, which one click changes."""
    columns = view.mapper.columns
    names = [name for name in editable_names(view) if name in columns and not columns[name].nullable]
    return [name for name in names if python_type_of(columns[name]) is bool]


async def editable_cells(request: Request, view: AdminView, rows: Sequence[Any]) -> Mapping[str, frozenset[str]]:
    """Return the columns that the user may edit in the list, by the key of the row. Empty without `editable`."""
    names = frozenset(editable_names(view))
    if not (names and rows and may_edit_any(request, view)):
        return {}
    rows_by_pk = {key_of(row): row for row in rows}
    writable = await writable_keys(request, view, list(rows_by_pk))
    return {
        pk: names.difference(unwritable_columns(request, view, row))
        for pk, row in rows_by_pk.items()
        if pk in writable and await view.check_can_edit(request, row)
    }


async def writable_keys(request: Request, view: AdminView, pks: Sequence[str]) -> set[str]:
    """Return the keys of rows that the rules of `crud` allow the user to change, in at most one query."""
    if not (conditions := view.rules.writable(request)):
        return set(pks)
    statement = view.list_query(request).where(match_primary_keys(view, pks), *conditions)
    return {key_of(row) for row in await view.queries.objects(statement)}


async def describe_change(request: Request, view: AdminView, row: Any, name: str) -> str:
    """Return who has changed a column of a row to its stored value."""
    if name in view.references:
        await view.references[name].load_titles(request, [row])
    _, text = await view.get_list_value(row, name, request)
    value = text.striptags() if isinstance(text, Markup) else text
    (conflict,) = await describe_conflicts(request, view, key_of(row), {name: True})
    return gettext("%(author)s has changed this to “%(value)s”.", author=conflict.author, value=value)
