"""Cells of a list that a user may edit in place."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from starlette.requests import Request

from opportune.admin.forms.edit_conflicts import describe_conflicts
from opportune.admin.lists.actions import key_of, match_primary_keys
from opportune.admin.views import AdminView
from opportune.i18n import gettext


async def editable_cells(request: Request, view: AdminView, rows: Sequence[Any]) -> Mapping[str, frozenset[str]]:
    """Return the columns that the user may edit in the list, by the key of the row. Empty without `editable`."""
    names = frozenset(view.editable_names)
    if not (names and rows and view.may_edit_any(request)):
        return {}
    rows_by_pk = {key_of(row): row for row in rows}
    writable = await writable_keys(request, view, list(rows_by_pk))
    return {
        pk: names.difference(view.unwritable_columns(request, row))
        for pk, row in rows_by_pk.items()
        if pk in writable and await view.check_can_edit(request, row)
    }


async def writable_keys(request: Request, view: AdminView, pks: Sequence[str]) -> set[str]:
    """Return the keys of rows that the rules of `crud` allow the user to change, in at most one query."""
    if not (conditions := view.writable(request)):
        return set(pks)
    statement = view.list_query(request).where(match_primary_keys(view, pks), *conditions)
    return {key_of(row) for row in await view.fetch_rows(statement)}


async def describe_change(request: Request, view: AdminView, row: Any, name: str) -> str:
    """Return who has changed a column of a row to its stored value."""
    if name in view.references:
        await view.name_references(request, name, [row])
    _, text = await view.get_list_value(row, name, request)
    value = text.striptags() if isinstance(text, Markup) else text
    (conflict,) = await describe_conflicts(request, view, key_of(row), {name: True})
    return gettext("%(author)s has changed this to “%(value)s”.", author=conflict.author, value=value)
