"""Cells of a list that users edit in place, saved by htmx one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, cast

from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.editing.row_edits import ROW_IS_GONE, RowEdit, RowEditor, load_rows, prefix_of
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.forms.edit_conflicts import SEEN_FIELD, describe_conflicts, hash_values
from opportune.admin.lists.actions import key_of, match_primary_keys
from opportune.admin.views import AdminView
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.web.time_zone import local

CELL_TEMPLATE = "admin/cell.html"
CHANGE_TEMPLATE = "admin/cell_change.html"
UNDO, TOGGLE = "undo", "toggle"
"""Names of the form fields that mark an undo, and that have the new value of a column with yes or no."""


@dataclass(frozen=True)
class OpenCell:
    """A cell with its control."""

    name: str
    field: Any
    seen: str
    """Hash of the stored value."""
    error: str = ""


@dataclass(frozen=True)
class Undo:
    """The form that restores the value before a change."""

    name: str
    text: str
    zone: str
    seen: str


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


async def cell_page(request: Request, view: AdminView) -> Response:
    """Return the control of a cell, or save its value."""
    name, pk = request.path_params["column"], request.path_params["pk"]
    if not view.may_edit_any(request):
        raise HTTPException(403)
    if name not in view.editable_names:
        raise HTTPException(404)
    if request.method == "POST":
        return await _save(request, view, name, pk)
    if (row := await _load_row(request, view, pk)) is None:
        return await _render(request, view, CHANGE_TEMPLATE, pk, {"error": ROW_IS_GONE}, 404)
    if name not in (await editable_cells(request, view, [row])).get(pk, ()):
        raise HTTPException(403)
    return await _render(request, view, CELL_TEMPLATE, pk, {"cell": await _open_cell(request, view, row, name)})


async def row_page(request: Request, view: AdminView) -> Response:
    """Return a row of the list, to close a cell without a change."""
    return await _render_row(request, view, request.path_params["pk"])


async def _save(request: Request, view: AdminView, name: str, pk: str) -> Response:
    form_data = await read_form_texts(request)
    if TOGGLE in form_data:
        form_data = await _toggled(request, view, name, pk, str(form_data[TOGGLE]))
    edit = RowEdit(pk, [name], form_data)
    is_undo = UNDO in form_data
    try:
        changed = await (await RowEditor.for_request(request, view)).save([edit])
    except FieldErrors as refusal:
        return await _render_refusal(request, view, edit, name, refusal, is_undo=is_undo)
    if not changed:
        return await _render_row(request, view, pk)
    label, title = view.labels.get(name, name), await view.title_for(request, edit.row)
    saved = gettext("%(field)s of “%(row)s” was saved.", field=label, row=title)
    restored = gettext("%(field)s of “%(row)s” was restored.", field=label, row=title)
    undo = None if is_undo else await _undo(request, view, edit, name)
    return await _render_row(request, view, pk, {"message": restored if is_undo else saved, "undo": undo, "name": name})


async def _toggled(request: Request, view: AdminView, name: str, pk: str, text: str) -> FormData:
    """Return the form that a browser would send for a column with yes or no, which a click sets without opening it."""
    if name not in view.toggled_names:
        raise HTTPException(404)
    row = await _load_row(request, view, pk)
    seen = "" if row is None else (await _open_cell(request, view, row, name)).seen
    fields = [(prefix_of(pk) + SEEN_FIELD, seen)]
    if text == "yes":
        fields.append((prefix_of(pk) + name, "True"))
    return FormData(dict(fields))


async def _undo(request: Request, view: AdminView, edit: RowEdit, name: str) -> Undo | None:
    """Return the form to restore the value before an edit."""
    if edit.form is None or name not in edit.form or (row := await _load_row(request, view, edit.pk)) is None:
        return None
    old, new = edit.form[name], (await (await RowEditor.for_request(request, view)).open(row))[name]
    return Undo(old.name, _exact_text(old), getattr(old, "zone", ""), hash_values([new]))


def _exact_text(form_field: Any) -> str:
    """Return the text of the stored value, with all digits of a time."""
    value = form_field.object_data
    if isinstance(value, datetime):
        return (local(value) if value.tzinfo else value).replace(tzinfo=None).isoformat()
    return value.isoformat() if isinstance(value, time) else str(getattr(form_field, "stored_text", value))


async def _render_refusal(
    request: Request, view: AdminView, edit: RowEdit, name: str, refusal: FieldErrors, *, is_undo: bool
) -> Response:
    """Render the cell with the submitted text and the reason."""
    row = None if edit.is_gone else await _load_row(request, view, edit.pk)
    if row is None:
        return await _render_row(request, view, edit.pk)
    error = edit.error_of(name) or edit.other_errors([name]) or str(refusal)
    if edit.conflicts:
        change = await describe_change(request, view, row, name)
        error = change if is_undo else gettext("%(change)s Save again to replace it.", change=change)
    if is_undo or edit.form is None or name not in edit.form:
        error = gettext("Nothing was undone: %(error)s", error=error) if is_undo else error
        return await _render_row(request, view, edit.pk, {"error": error}, 409)
    cell = OpenCell(name, edit.form[name], (await _open_cell(request, view, row, name)).seen, error)
    return await _render_row(request, view, edit.pk, {"cell": cell}, 409 if edit.conflicts else 422)


async def describe_change(request: Request, view: AdminView, row: Any, name: str) -> str:
    """Return who has changed a column of a row to its stored value."""
    if name in view.references:
        await view.name_references(request, name, [row])
    _, text = await view.get_list_value(row, name, request)
    value = text.striptags() if isinstance(text, Markup) else text
    (conflict,) = await describe_conflicts(request, view, key_of(row), {name: True})
    return gettext("%(author)s has changed this to “%(value)s”.", author=conflict.author, value=value)


async def _open_cell(request: Request, view: AdminView, row: Any, name: str) -> OpenCell:
    field = (await (await RowEditor.for_request(request, view)).open(row))[name]
    return OpenCell(name, field, hash_values([field]))


async def _load_row(request: Request, view: AdminView, pk: str) -> Any:
    """Return a row with all that its cells show, or None if it is not in the list."""
    return next(iter((await load_rows(request, view, [pk])).values()), None)


async def _render_row(
    request: Request, view: AdminView, pk: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> Response:
    row = await _load_row(request, view, pk)
    if row is None:
        return await _render(request, view, CHANGE_TEMPLATE, pk, {"error": ROW_IS_GONE}, 404)
    for name in view.references.keys() & set(view.listed_names(request)):
        await view.name_references(request, name, [row])
    row_context = {"row": row, "cells": await editable_cells(request, view, [row])}
    return await _render(request, view, CHANGE_TEMPLATE, pk, {**row_context, **(context or {})}, status)


async def _render(
    request: Request, view: AdminView, template: str, pk: str, context: Mapping[str, Any], status: int = 200
) -> Response:
    escaped = pk.replace("\\", "\\\\").replace('"', '\\"')
    page = {
        "model_view": view,
        "columns": view.listed_names(request),
        "pk": pk,
        "seen_name": prefix_of(pk) + SEEN_FIELD,
        "row_selector": f'tr[data-pk="{escaped}"]',
        **context,
    }
    return cast("Response", await view.templates.TemplateResponse(request, template, page, status))
