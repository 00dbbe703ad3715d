"""Restores the values that a row had before a change in its history."""

from collections.abc import Mapping
from typing import Any, cast

from sqlmodel import col
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_edit_any, may_see_history
from opportune.admin.editing.logged_values import old_values
from opportune.admin.editing.row_edits import RowEdit, RowEditor, prefix_of
from opportune.admin.editing.undo import undo_url
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import submitted_texts, without_fields
from opportune.admin.log.history import entries_of_row
from opportune.admin.models import AuditEntry
from opportune.admin.views import AdminView
from opportune.db.models.row_ids import parse_row_id
from opportune.errors import FieldErrors, require_found
from opportune.i18n import gettext
from opportune.web.rendering.flash import flash


async def restore_page(request: Request, view: AdminView) -> Response:
    """Submit the values before a change through the form, with its validation, permissions, hooks and audit log."""
    pk = request.path_params["pk"]
    if not (may_see_history(request, view) and may_edit_any(request, view)):
        raise HTTPException(403)
    entry = await _find_entry(request, view, pk)
    try:
        await submit_values(request, view, old_values(view, entry))
    except FieldErrors as refusal:
        flash(request, gettext("Nothing was restored. %(reason)s", reason=refusal), "danger")
    else:
        flash(request, gettext("The old values were restored."), undo=undo_url(request, view))
    return RedirectResponse(request.url_for("admin:history", identity=view.identity, pk=pk), 303)


async def submit_values(request: Request, view: AdminView, values: Mapping[str, Any]) -> None:
    """Store values in the row of the URL as if a user had typed them into its form.

    Raises:
        FieldErrors: A value is no longer valid, or the user may not change the row.
    """
    editor = await RowEditor.for_request(request, view)
    pk = request.path_params["pk"]
    omitted = [name for name in view.names.in_form if name not in values]
    form = without_fields(editor.form_class, omitted)(None, data=dict(values), prefix=prefix_of(pk))
    edit = RowEdit(pk, list(values), FormData([*submitted_texts(form)]), checks_seen=False)
    try:
        await editor.save([edit])
    except FieldErrors as refusal:
        raise ValidationRefused(edit.other_errors(()) or str(refusal)) from refusal


async def _find_entry(request: Request, view: AdminView, pk: str) -> AuditEntry:
    has_id = col(AuditEntry.id) == require_found(parse_row_id(request.query_params.get("entry", "")))
    row = await view.get_object_for_edit(request)
    entries = entries_of_row(request, view, pk, row).where(has_id, col(AuditEntry.action) == "update")
    found = await view.queries.objects(entries) if row is not None else []
    if not found:
        raise HTTPException(404)
    return cast("AuditEntry", found[0])
