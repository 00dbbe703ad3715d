"""The form with all rows on a page of a list, which needs no JavaScript."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.editing.cells import describe_change, editable_cells, editable_names
from opportune.admin.editing.pasted_cells import PASTE, read_pasted_edits
from opportune.admin.editing.row_edits import RowEdit, RowEditor, load_rows, seen_field
from opportune.admin.editing.undo import undo_url
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.forms.edit_conflicts import hash_values
from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.forms.inlines import INVALID_ROWS
from opportune.admin.lists.actions import describe_rows, list_url, redirect_with_error
from opportune.admin.lists.columns import listed_columns
from opportune.admin.lists.row_keys import key_of
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.db.models.labels import title_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext, lower_name
from opportune.web.forms.seen_values import parse_hashes
from opportune.web.rendering.flash import flash

TEMPLATE = "admin/page_rows.html"


@dataclass(frozen=True)
class Line:
    row: Any
    fields: Mapping[str, Any]
    """The fields that the user may edit, by column."""
    seen: str
    """Hashes of the stored values."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Messages beside the fields, by column. The message about the row has an empty name."""

    @property
    def pk(self) -> str:
        return key_of(self.row)

    @property
    def seen_name(self) -> str:
        return seen_field(self.pk)

    @property
    def title(self) -> str:
        return title_of(self.row)


async def page_rows(request: Request, view: AdminView) -> Response:
    """Show the rows on a page of the list as a form, or save all of them or none."""
    if not editable_names(view):
        raise HTTPException(404)
    if request.method != "POST":
        return await _render(request, view, (await view.list(request)).rows)
    try:
        edits = await _read_edits(request, view, await read_form_texts(request))
    except FieldErrors as refusal:
        return redirect_with_error(request, view, str(refusal))
    try:
        editor = await RowEditor.for_request(request, view)
        changed = await editor.save([edit for edit in edits if edit.columns])
    except FieldErrors as refusal:
        error = INVALID_ROWS if any(edit.is_refused for edit in edits) else str(refusal)
        stored = await load_rows(request, view, [edit.pk for edit in edits])
        return await _render(request, view, [stored[edit.pk] for edit in edits if edit.pk in stored], edits, error)
    text = gettext("Changed %(rows)s.", rows=describe_rows(view, len(changed)))
    flash(request, text if changed else "Nothing has changed.", undo=undo_url(request, view))
    return RedirectResponse(list_url(request, view), 303)


async def _read_edits(request: Request, view: AdminView, form_data: FormData) -> Sequence[RowEdit]:
    """Return the submitted rows. Columns that the page did not have are left out."""
    pks = list(dict.fromkeys(map(str, form_data.getlist("pk"))))
    if not pks:
        raise ValidationRefused("This page has no rows to save.")
    if len(pks) > max(view.page_size_options):
        raise ValidationRefused(gettext("Save at most %(number)s rows together.", number=max(view.page_size_options)))
    if PASTE in form_data:
        return await read_pasted_edits(request, view, form_data, pks)
    return [_read_edit(view, form_data, pk) for pk in pks]


def _read_edit(view: AdminView, form_data: FormData, pk: str) -> RowEdit:
    seen = parse_hashes(str(form_data.get(seen_field(pk), "")))
    return RowEdit(pk, [name for name in editable_names(view) if name in seen], form_data)


async def _render(
    request: Request, view: AdminView, rows: Sequence[Any], edits: Sequence[RowEdit] = (), error: str = ""
) -> Response:
    columns = listed_columns(request, view)
    await load_references(request, view, [*columns, *editable_names(view)], rows)
    editor = await RowEditor.for_request(request, view)
    cells = await editable_cells(request, view, rows)
    edited = {edit.pk: edit for edit in edits}
    lines = [await _build_line(editor, row, cells.get(key_of(row), ()), edited.get(key_of(row))) for row in rows]
    pks = {line.pk for line in lines}
    context = {
        "title": gettext("Edit %(rows)s", rows=lower_name(view.name_plural)),
        "columns": list(dict.fromkeys((*columns, *editable_names(view)))),
        "lines": lines,
        "error": error,
        "missing": [edit.error for edit in edits if edit.pk not in pks],
        "list": list_url(request, view),
    }
    return await render_page(request, view, TEMPLATE, context, 422 if error else 200)


async def _build_line(editor: RowEditor, row: Any, editable: Collection[str], edit: RowEdit | None) -> Line:
    form = await editor.open(row)
    stored = {name: form[name] for name in editable_names(editor.view) if name in editable and name in form}
    seen = hash_values(stored.values())
    if edit is None:
        return Line(row, stored, seen)
    sent = {} if edit.form is None else {name: edit.form[name] for name in edit.columns if name in edit.form}
    fields = {name: sent.get(name, stored_field) for name, stored_field in stored.items()}
    return Line(row, fields, seen, await _errors(editor.request, editor.view, row, edit))


async def _errors(request: Request, view: AdminView, row: Any, edit: RowEdit) -> dict[str, str]:
    errors = {name: edit.error_of(name) for name in edit.columns} | {"": edit.other_errors(edit.columns)}
    for name in edit.conflicts:
        change = await describe_change(request, view, row, name)
        errors[name] = gettext("%(change)s Save again to replace it.", change=change)
    return {name: message for name, message in errors.items() if message}
