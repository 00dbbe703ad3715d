"""Restores old values from the audit log: Undo of a change to several rows, and one change in the history of a row."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_edit_any, may_see_history
from opportune.admin.base import BaseAdminView
from opportune.admin.editing.row_edits import NOT_ALLOWED, ROW_IS_GONE, RowEdit, RowEditor, prefix_of
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import submitted_texts, without_fields
from opportune.admin.lists import actions
from opportune.admin.lists.row_keys import key_of, match_primary_keys, parse_id
from opportune.admin.log import audit, diff
from opportune.admin.log.audit import entries_of
from opportune.admin.models import AuditEntry
from opportune.admin.row_writer import RowWriter
from opportune.admin.views import AdminView, unwritable_columns
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.columns import is_json, python_type_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.rendering.flash import flash

ENTRIES = "entries"
"""Query parameter with the first and last id of the entries, such as `5-24`."""
NOT_RECORDED = _l("The log does not have this change.")


def undo_url(request: Request, view: AdminView, entries: str | None = None) -> str:
    """Return the URL that undoes the changes of this request, or of these entries. Empty if that is not possible."""
    entries = recorded_range(request, view) if entries is None else entries
    if not (entries and may_edit_any(request, view)):
        return ""
    path = request.url_for("admin:undo", identity=view.identity).path
    return f"{path}?{urlencode([*request.query_params.multi_items(), (ENTRIES, entries)])}"


def recorded_range(request: Request, view: AdminView) -> str:
    """Return the range of this request's entries for rows of a view. Empty if they are too many or lack values."""
    entries = [entry for entry in audit.recorded_entries(request) if entry.identity == view.identity and entry.row_id]
    if not 0 < len(entries) <= actions.MAX_ROWS_PER_ACTION:
        return ""
    try:
        for entry in entries:
            old_values(view, entry)
    except ValidationRefused:
        return ""
    ids = [entry.id or 0 for entry in entries]
    return f"{min(ids)}-{max(ids)}"


async def undo_page(request: Request, view: AdminView) -> Response:
    """Restore the values of changed rows, and delete added rows: all of them or none."""
    if not may_edit_any(request, view):
        raise HTTPException(403)
    try:
        with translate_database_errors(view.table):
            async with view.site.database.writer() as session:
                entries = await _load_entries(request, view, session)
                writer = view.writer(session, request)
                restored = await _restore(view, writer, [entry for entry in entries if entry.action == "update"])
                added = [entry for entry in entries if entry.action == "create"]
                deleted = await _check_unchanged(writer, added, view.check_can_delete) if added else {}
                await writer.delete([*deleted.values()])
    except FieldErrors as refusal:
        return actions.redirect_with_error(request, view, gettext("Nothing was undone: %(error)s", error=refusal))
    for row, values in restored:
        await view.after_model_change(dict(values), row, False, request)
    for row in deleted.values():
        await view.after_model_delete(row, request)
    flash(request, gettext("Undone: %(rows)s.", rows=actions.describe_rows(view, len(entries))))
    return RedirectResponse(actions.list_url(request, view), 303)


async def _load_entries(request: Request, view: AdminView, session: AsyncSession) -> Sequence[AuditEntry]:
    """Return the entries of the user's change.

    Raises:
        HTTPException: The parameter names no entries (404).
        ValidationRefused: The log has none, because they are too old, or there are too many.
    """
    first, _, last = request.query_params.get(ENTRIES, "").partition("-")
    if not (first.isdecimal() and last.isdecimal() and max(len(first), len(last)) < 19):
        raise HTTPException(404)
    entries = select(AuditEntry).where(
        col(AuditEntry.id).between(int(first), int(last)),
        col(AuditEntry.identity) == view.identity,
        col(AuditEntry.actor_id) == request.state.user.id,
        col(AuditEntry.action).in_(("create", "update")),
    )
    found = (await session.scalars(entries.order_by(col(AuditEntry.id)).limit(actions.MAX_ROWS_PER_ACTION + 1))).all()
    if not found or len(found) > actions.MAX_ROWS_PER_ACTION:
        raise ValidationRefused(NOT_RECORDED)
    return found


async def _restore(
    view: AdminView, writer: RowWriter, entries: Sequence[AuditEntry]
) -> list[tuple[Any, Mapping[str, Any]]]:
    """Write the old values of the entries. Return the rows with these values."""
    if not entries:
        return []
    rows = await _check_unchanged(writer, entries, view.check_can_edit)
    restored = list[tuple[Any, Mapping[str, Any]]]()
    for entry in entries:
        row, values = rows[entry.row_id], old_values(view, entry)
        if {*values}.intersection(unwritable_columns(writer.request, view, row)):
            raise ValidationRefused(NOT_ALLOWED)
        restored.append((row, values))
    await writer.save_all(restored)
    return restored


async def _check_unchanged(writer: RowWriter, entries: Sequence[AuditEntry], check: Any) -> dict[str, Any]:
    """Lock the rows of entries, and return them by key.

    Raises:
        ValidationRefused: A row is gone, may not be changed, or has other values than after the change.
    """
    view = writer.view
    pks = [entry.row_id for entry in entries]
    locked = await writer.lock(view.list_query(writer.request).where(match_primary_keys(view, pks)), check)
    rows = {key_of(row): row for row in locked}
    for entry in entries:
        if (row := rows.get(entry.row_id)) is None:
            raise ValidationRefused(f"{entry.title}: {ROW_IS_GONE}")
        for name, value in _new_values(view, entry).items():
            if getattr(row, name) != value:
                label = view.labels.get(name, name)
                message = gettext("“%(row)s” has been changed again (%(field)s).", row=entry.title, field=label)
                raise ValidationRefused(message)
    return rows


def old_values(view: BaseAdminView, entry: AuditEntry) -> dict[str, Any]:
    """Return the values of form fields before a change; none for an added row.

    Raises:
        ValidationRefused: The log has only a part of a value, or hides it.
    """
    names = _logged_fields(view, entry) if entry.action == "update" else ()
    return {name: _typed(view, name, entry.changes[name][0]) for name in names}


def _new_values(view: BaseAdminView, entry: AuditEntry) -> dict[str, Any]:
    """Return the values after a change, as far as the log has them."""
    values = {}
    for name in _logged_fields(view, entry):
        with suppress(ValidationRefused):
            values[name] = _typed(view, name, entry.changes[name][1])
    return values


def _logged_fields(view: BaseAdminView, entry: AuditEntry) -> list[str]:
    return [name for name in entry.changes if name in view.names.in_form or name in view.form_extension.names]


def _typed(view: BaseAdminView, name: str, value: Any) -> Any:
    column = view.mapper.columns.get(name)
    is_cut = isinstance(value, str) and len(value) >= diff.MAX_VALUE_LENGTH
    if column is None or name in view.files or value == diff.HIDDEN or is_cut:
        raise ValidationRefused(NOT_RECORDED)
    if value is None or isinstance(value, bool | int | float):
        return value
    fields = getattr(view.model, "model_fields", {})
    type_ = fields[name].annotation if name in fields else python_type_of(column)
    try:
        restored = TypeAdapter(type_).validate_python(json.loads(value) if is_json(column) else value)
    except (ValidationError, ValueError, PydanticSchemaGenerationError):
        raise ValidationRefused(NOT_RECORDED) from None
    logged, _ = diff.diff_values({name: restored}, {}).get(name, (value, None))
    if logged != value:  # the log has another form of the value, such as all texts of a translated one
        raise ValidationRefused(NOT_RECORDED)
    return restored


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
    pk, omitted = request.path_params["pk"], [name for name in view.names.in_form if name not in values]
    form = without_fields(editor.form_class, omitted)(None, data=dict(values), prefix=prefix_of(pk))
    edit = RowEdit(pk, list(values), FormData([*submitted_texts(form)]), checks_seen=False)
    try:
        await editor.save([edit])
    except FieldErrors as refusal:
        raise ValidationRefused(edit.other_errors(()) or str(refusal)) from refusal


async def _find_entry(request: Request, view: AdminView, pk: str) -> AuditEntry:
    try:
        has_id = col(AuditEntry.id) == parse_id(request.query_params.get("entry", ""))
    except ValueError:
        raise HTTPException(404) from None
    found = await view.queries.objects(entries_of(view.identity, pk).where(has_id, col(AuditEntry.action) == "update"))
    if not found:
        raise HTTPException(404)
    entry: AuditEntry = found[0]
    return entry
