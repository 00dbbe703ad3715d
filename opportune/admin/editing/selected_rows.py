"""Changes to fields of all selected rows, with a preview."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_delete_any, may_edit_any
from opportune.admin.editing.row_edits import NOT_ALLOWED, ROW_IS_GONE, RowEdit, RowEditor, load_rows
from opportune.admin.editing.undo import undo_url
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, keep_unsent, read_form_texts, without_fields
from opportune.admin.lists.actions import Selection, describe_rows, list_url, read_selection, redirect_with_error
from opportune.admin.lists.row_keys import writable_keys
from opportune.admin.log.change_rows import list_change_rows, load_reference_names
from opportune.admin.log.diff import diff_values
from opportune.admin.sqladmin_adapter import visible_actions
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView, unwritable_columns
from opportune.db.models.columns import is_unique
from opportune.db.models.sensitive_names import is_secret
from opportune.errors import FieldErrors
from opportune.i18n import gettext as _
from opportune.web.rendering.flash import flash

TEMPLATE = "admin/selected_rows.html"
PREFIX = "new-"
"""Prefix of the fields with the new values."""
CHANGE = "change"
"""Name of the checkboxes that choose fields."""
PREVIEW = "preview"
MAX_PREVIEW_ROWS = 10


@dataclass
class Page:
    """The state of the page: choose values, or confirm their preview."""

    selection: Selection
    form: AdminForm
    columns: Sequence[str] = ()
    """The chosen fields."""
    sent: FormData = field(default_factory=FormData)
    error: str = ""
    edits: Sequence[RowEdit] = ()

    @property
    def changed(self) -> Sequence[RowEdit]:
        return [edit for edit in self.edits if edit.values]

    @property
    def refused(self) -> Sequence[RowEdit]:
        return [edit for edit in self.edits if edit.is_refused]

    @property
    def may_confirm(self) -> bool:
        return bool(self.changed) and not (self.refused or self.error)

    @property
    def field_errors(self) -> Mapping[str, str]:
        """Messages beside the fields, from the first refused row."""
        return {name: self.refused[0].error_of(name) for name in self.columns} if self.refused else {}


def may_edit_selected(request: Request, view: AdminView) -> bool:
    """Return whether the user may change fields of all selected rows together."""
    return view.can_edit_selected and may_edit_any(request, view)


def may_select(request: Request, view: AdminView) -> bool:
    """Return whether the list has an action for selected rows."""
    has_action = may_delete_any(request, view) or may_edit_selected(request, view)
    return has_action or bool(visible_actions(request, view))


async def selected_rows_page(request: Request, view: AdminView) -> Response:
    """Show the fields to change, a preview of the changes, or save them."""
    try:
        selection = await read_selection(request, view)
        sent = await read_form_texts(request)
        if not (rows := await load_rows(request, view, selection.pks)):
            raise ValidationRefused("Another user has deleted these rows.")
    except FieldErrors as refusal:
        return redirect_with_error(request, view, str(refusal))
    editor = await RowEditor.for_request(request, view)
    page = _read_page(editor, next(iter(rows.values())), selection, sent)
    if page.columns and (selection.is_confirmed or PREVIEW in sent):
        await _plan(editor, page, rows)
        if selection.is_confirmed and page.may_confirm:
            return await _save(editor, page)
    return await _render(request, view, page)


def _read_page(editor: RowEditor, row: Any, selection: Selection, sent: FormData) -> Page:
    """Return the page with the submitted values. It has the fields that the user may change in the first row."""
    unwritable = unwritable_columns(editor.request, editor.view, row)
    hidden = [name for name in editor.view.names.in_form if not _is_common_field(editor.view, name)]
    form_class = without_fields(editor.form_class, {*unwritable, *hidden, *editor.view.form_extension.names})
    chosen = set(map(str, sent.getlist(CHANGE)))
    form = form_class(sent if chosen else None, prefix=PREFIX)
    columns = [form_field.short_name for form_field in form if form_field.short_name in chosen]
    if chosen:
        keep_unsent(form, {PREFIX + name for name in columns})
    is_sent = PREVIEW in sent or selection.is_confirmed
    error = _("Choose at least one field to change.") if is_sent and not columns else ""
    return Page(selection, form, columns, sent, error)


def _is_common_field(view: AdminView, name: str) -> bool:
    """Return whether several rows can have the same value in this field."""
    column = view.mapper.columns.get(name)
    return not (column is None or column.primary_key or is_unique(column) or is_secret(name) or name in view.files)


async def _plan(editor: RowEditor, page: Page, rows: Mapping[str, Any]) -> None:
    writable = await writable_keys(editor.request, editor.view, list(rows))
    page.edits = [RowEdit(pk, page.columns, page.sent, PREFIX, checks_seen=False) for pk in page.selection.pks]
    for edit in page.edits:
        await asyncio.sleep(0)  # let other requests run
        if edit.pk in writable:
            await editor.plan(edit, rows[edit.pk])
        else:
            edit.error = NOT_ALLOWED if edit.pk in rows else ROW_IS_GONE


async def _save(editor: RowEditor, page: Page) -> Response:
    try:
        changed = await editor.save(page.edits)
    except FieldErrors as refusal:
        page.error = _("Nothing was changed. %(reason)s", reason=_(str(refusal)))
        return await _render(editor.request, editor.view, page)
    message = _("Changed %(rows)s.", rows=describe_rows(editor.view, len(changed)))
    flash(editor.request, message, undo=undo_url(editor.request, editor.view))
    return RedirectResponse(list_url(editor.request, editor.view), 303)


async def _render(request: Request, view: AdminView, page: Page) -> Response:
    edits = page.changed[:MAX_PREVIEW_ROWS] if page.may_confirm else ()
    changes = [diff_values({name: edit.stored_value(name) for name in edit.values}, edit.values) for edit in edits]
    names = await load_reference_names(request, changes, view)
    context = {
        "title": _("Edit %(rows)s", rows=describe_rows(view, len(page.selection.pks))),
        "page": page,
        "hidden": [pair for pair in page.sent.multi_items() if pair[0] == CHANGE or pair[0].startswith(PREFIX)],
        "preview": [(edit.title, list_change_rows(row, view, names)) for edit, row in zip(edits, changes, strict=True)],
        "list": list_url(request, view),
    }
    status = 422 if page.error or page.refused else 200
    return await render_page(request, view, TEMPLATE, context, status)
