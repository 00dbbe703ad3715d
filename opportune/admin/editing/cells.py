"""Cells of a list that a user may edit in place, and the pages of one cell, which htmx loads and saves."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import may_edit_any
from opportune.admin.editing.row_edits import ROW_IS_GONE, RowEdit, RowEditor, load_rows, prefix_of, seen_field
from opportune.admin.editing.undo import undo_url
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.forms.edit_conflicts import describe_conflicts, hash_values, stored_text
from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.lists.columns import listed_columns
from opportune.admin.lists.display import title_for
from opportune.admin.lists.row_keys import key_of, writable_keys
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView, has_field_hooks, unwritable_columns
from opportune.db.models.columns import python_type_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext

CHANGE_TEMPLATE = "admin/cell_change.html"
TOGGLE = "toggle"
"""Form field with the new value of a column with yes or no."""


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
    has_hooks = has_field_hooks(view)  # only they make the fields differ from row to row
    common = names.difference(unwritable_columns(request, view, rows[0]))
    return {
        pk: names.difference(unwritable_columns(request, view, row)) if has_hooks else common
        for pk, row in rows_by_pk.items()
        if pk in writable and await view.check_can_edit(request, row)
    }


async def describe_change(request: Request, view: AdminView, row: Any, name: str) -> str:
    """Return who has changed a column of a row to its stored value."""
    await load_references(request, view, [name], [row])
    value = await stored_text(request, view, row, name)
    (conflict,) = await describe_conflicts(request, view, key_of(row), {name: True})
    return gettext("%(author)s has changed this to “%(value)s”.", author=conflict.author, value=value)


async def cell_page(request: Request, view: AdminView) -> Response:
    """Return the control of a cell, or save its value."""
    name = request.path_params["column"]
    if name not in editable_names(view):
        raise HTTPException(404)
    cell = Cell(request, view, name)
    return await cell.save() if request.method == "POST" else await cell.open()


async def row_page(request: Request, view: AdminView) -> Response:
    """Return a row of the list, to close a cell without a change."""
    return await ListRow(request, view).render()


class ListRow:
    """The row of the list that the URL names."""

    def __init__(self, request: Request, view: AdminView) -> None:
        self.request = request
        self.view = view
        self.pk: str = request.path_params["pk"]

    async def load(self) -> Any:
        """Return the row with all that its cells show, or None if it is not in the list."""
        return (await load_rows(self.request, self.view, [self.pk])).get(self.pk)

    async def render(self, context: Mapping[str, Any] | None = None, status: int = 200) -> Response:
        """Render the row, with a message or an open cell if `context` has one."""
        row = await self.load()
        if row is None:
            return await self.render_template(CHANGE_TEMPLATE, {"error": ROW_IS_GONE}, 404)
        await load_references(self.request, self.view, listed_columns(self.request, self.view), [row])
        cells = await editable_cells(self.request, self.view, [row])
        return await self.render_template(CHANGE_TEMPLATE, {"row": row, "cells": cells, **(context or {})}, status)

    async def render_template(self, template: str, context: Mapping[str, Any], status: int = 200) -> Response:
        escaped = self.pk.replace("\\", "\\\\").replace('"', '\\"')
        page = {
            "columns": listed_columns(self.request, self.view),
            "pk": self.pk,
            "seen_name": seen_field(self.pk),
            "row_selector": f'tr[data-pk="{escaped}"]',
            **context,
        }
        return await render_page(self.request, self.view, template, page, status)


class OpenCell(NamedTuple):
    name: str
    field: Any
    seen: str
    """Hash of the stored value."""
    error: str = ""


class Cell(ListRow):
    """A row of which a request opens or saves one column."""

    def __init__(self, request: Request, view: AdminView, name: str) -> None:
        super().__init__(request, view)
        self.name = name

    async def open(self) -> Response:
        row = await self.load()
        if row is None:
            return await self.render()
        editable = await editable_cells(self.request, self.view, [row])
        if self.name not in editable.get(self.pk, ()):
            raise HTTPException(403)
        field = await self._stored_field(row)
        cell = OpenCell(self.name, field, hash_values([field]))
        return await self.render_template("admin/cell.html", {"cell": cell})

    async def save(self) -> Response:
        form_data = await read_form_texts(self.request)
        if TOGGLE in form_data:
            form_data = await self._toggled(is_on=form_data[TOGGLE] == "yes")
        edit = RowEdit(self.pk, [self.name], form_data)
        editor = await RowEditor.for_request(self.request, self.view)
        try:
            changed = await editor.save([edit])
        except FieldErrors as refusal:
            return await self._render_refusal(edit, refusal)
        if changed:
            return await self._render_saved(edit)
        return await self.render()

    async def _toggled(self, *, is_on: bool) -> FormData:
        """Return the form that a browser would send for a column with yes or no, which a click sets."""
        if self.name not in toggled_names(self.view):
            raise HTTPException(404)
        row = await self.load()
        seen = "" if row is None else hash_values([await self._stored_field(row)])
        fields = {seen_field(self.pk): seen}
        if is_on:
            fields[prefix_of(self.pk) + self.name] = "True"
        return FormData(fields)

    async def _render_saved(self, edit: RowEdit) -> Response:
        label = self.view.labels.get(self.name, self.name)
        title = await title_for(self.request, self.view, edit.row)
        message = gettext("%(field)s of “%(row)s” was saved.", field=label, row=title)
        return await self.render({"message": message, "undo": undo_url(self.request, self.view)})

    async def _render_refusal(self, edit: RowEdit, refusal: FieldErrors) -> Response:
        """Render the row with the reason, and the cell with the submitted text."""
        row = None if edit.is_gone else await self.load()
        if row is None:
            return await self.render()
        reason = await self._reason(edit, refusal, row)
        if edit.form is None or self.name not in edit.form:
            return await self.render({"error": reason}, 409)
        if edit.conflicts:
            reason = gettext("%(change)s Save again to replace it.", change=reason)
        seen = hash_values([await self._stored_field(row)])
        cell = OpenCell(self.name, edit.form[self.name], seen, reason)
        return await self.render({"cell": cell}, 409 if edit.conflicts else 422)

    async def _reason(self, edit: RowEdit, refusal: FieldErrors, row: Any) -> str:
        if edit.conflicts:
            return await describe_change(self.request, self.view, row, self.name)
        return edit.error_of(self.name) or edit.other_errors([self.name]) or gettext(str(refusal))

    async def _stored_field(self, row: Any) -> Any:
        editor = await RowEditor.for_request(self.request, self.view)
        return (await editor.open(row))[self.name]
