"""Undo of a change to one or several rows, with the values of the audit log."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_edit_any
from opportune.admin.base import BaseAdminView, Check
from opportune.admin.editing.logged_values import NOT_RECORDED, new_values, old_values
from opportune.admin.editing.row_edits import NOT_ALLOWED, ROW_IS_GONE
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists import actions
from opportune.admin.lists.row_keys import key_of, match_primary_keys, quote_key, unquote_key
from opportune.admin.log import audit
from opportune.admin.models import AuditEntry, may_be_hash
from opportune.admin.row_writer import Change, RowWriter
from opportune.admin.trash.pages import deletion_impact, has_trash
from opportune.admin.views import AdminView, unwritable_columns
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.columns import many_to_many_of
from opportune.db.models.row_ids import parse_row_id
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n.formats import format_list, format_number
from opportune.web.rendering.flash import flash

ENTRIES_PARAMETER = "entries"
"""Query parameter with the first and last id of the entries and their number, such as `5-24-20`."""


def undo_url(request: Request, view: AdminView, entries: str | None = None) -> str:
    """Return the URL that undoes the changes of this request, or of these entries. Empty if that is not possible."""
    entries = recorded_range(request, view) if entries is None else entries
    if not (entries and may_edit_any(request, view)):
        return ""
    path = request.url_for("admin:undo", identity=view.identity).path
    return f"{path}?{urlencode([*request.query_params.multi_items(), (ENTRIES_PARAMETER, entries)])}"


def recorded_range(request: Request, view: AdminView) -> str:
    """Return the range of this request's entries for rows of a view. Empty if they are too many or lack values."""
    entries = [entry for entry in audit.recorded_entries(request) if entry.identity == view.identity and entry.row_id]
    if not 0 < len(entries) <= actions.MAX_ROWS_PER_ACTION or any(may_be_hash(entry.row_id) for entry in entries):
        return ""
    try:
        for entry in entries:
            old_values(view, entry)
    except ValidationRefused:
        return ""
    ids = [entry.id for entry in entries if entry.id is not None]
    if len(ids) < len(entries):  # an entry is not stored yet
        return ""
    return f"{min(ids)}-{max(ids)}-{len(ids)}"


async def undo_page(request: Request, view: AdminView) -> Response:
    """Restore the values of changed rows, and delete added rows: all of them or none."""
    try:
        with translate_database_errors(view.table):
            async with view.site.database.writer() as session:
                entries = await _load_entries(request, view, session)
                writer = view.writer(session, request)
                restored = await _restore(view, writer, [entry for entry in entries if entry.action == "update"])
                deleted = await _delete_added(view, writer, [entry for entry in entries if entry.action == "create"])
    except FieldErrors as refusal:
        return actions.redirect_with_error(request, view, gettext("Nothing was undone: %(error)s", error=refusal))
    for change in restored:
        await change.run_hook(view, request)
    for row in deleted:
        await view.after_model_delete(row, request)
    flash(request, gettext("Undone: %(rows)s.", rows=actions.describe_rows(view, len(restored) + len(deleted))))
    return RedirectResponse(actions.list_url(request, view), 303)


async def _load_entries(request: Request, view: AdminView, session: AsyncSession) -> Sequence[AuditEntry]:
    """Return the entries of the user's change.

    Raises:
        HTTPException: The parameter names no entries (404).
        ValidationRefused: The log has others, because some are too old, or the user changed rows in another window.
    """
    texts = request.query_params.get(ENTRIES_PARAMETER, "").split("-")
    numbers = [number for number in map(parse_row_id, texts) if number is not None]
    if len(numbers) != len(texts) or len(numbers) != 3:
        raise HTTPException(404)
    first_id, last_id, count = numbers
    entries = select(AuditEntry).where(
        col(AuditEntry.id).between(first_id, last_id),
        col(AuditEntry.identity) == view.identity,
        audit.is_by_user(request),
        col(AuditEntry.action).in_(("create", "update")),
    )
    in_order = entries.order_by(col(AuditEntry.id)).limit(actions.MAX_ROWS_PER_ACTION + 1)
    matches = (await session.scalars(in_order)).all()
    if len(matches) != count or count > actions.MAX_ROWS_PER_ACTION:
        raise ValidationRefused(NOT_RECORDED)
    return matches


async def _restore(view: AdminView, writer: RowWriter, entries: Sequence[AuditEntry]) -> list[Change]:
    """Write the old values of the entries."""
    rows = await _lock_unchanged(writer, entries, view.check_can_edit)
    restored = list[tuple[Any, Mapping[str, Any]]]()
    for entry in entries:
        row = rows[entry.row_id]
        values = old_values(view, entry)
        if {*values}.intersection(unwritable_columns(writer.request, view, row)):
            raise ValidationRefused(NOT_ALLOWED)
        restored.append((row, values))
    return await writer.save_all(restored)


async def _delete_added(view: AdminView, writer: RowWriter, entries: Sequence[AuditEntry]) -> list[Any]:
    """Delete the rows that the entries have added, and return them."""
    rows = await _lock_unchanged(writer, entries, view.check_can_delete)
    deleted = [*rows.values()]
    if deleted and not has_trash(view):
        await _refuse_related(view, writer, deleted)
    with translate_database_errors(view.table, deleting=True):
        await writer.delete(deleted)
    return deleted


async def _refuse_related(view: AdminView, writer: RowWriter, rows: Sequence[Any]) -> None:
    """Refuse to delete added rows if that would delete or change other rows. Their links are a part of them.

    Raises:
        ValidationRefused: Other rows refer to them.
    """
    links = [view.mapper.relationships[name].secondary for name in many_to_many_of(view.mapper)]
    impact = await deletion_impact(writer.session, writer.request, view, [*map(key_of, rows)], links)
    if related := [*impact.deleted, *impact.cleared, *impact.blocking]:
        names = format_list([f"{format_number(part.count)} {gettext(part.label)}" for part in related])
        message = gettext("Other rows still refer to it (%(rows)s). Delete or change them first.", rows=names)
        raise ValidationRefused(message)


async def _lock_unchanged(writer: RowWriter, entries: Sequence[AuditEntry], check: Check) -> dict[str, Any]:
    """Lock the rows of entries, and return them by key.

    Raises:
        ValidationRefused: A row is gone, may not be changed, or has other values than after the change.
    """
    if not entries:
        return {}
    view = writer.view
    pks = [quote_key(entry.row_id) for entry in entries]
    locked = await writer.lock(view.list_query(writer.request).where(match_primary_keys(view, pks)), check)
    rows = {unquote_key(key_of(row)): row for row in locked}
    for entry in entries:
        row = rows.get(entry.row_id)
        if row is None:
            raise ValidationRefused(f"{entry.title}: {ROW_IS_GONE}")
        if changed := _fields_changed_since(view, entry, row):
            label = view.labels.get(changed[0], changed[0])
            message = gettext("“%(row)s” has been changed again (%(field)s).", row=entry.title, field=label)
            raise ValidationRefused(message)
    return rows


def _fields_changed_since(view: BaseAdminView, entry: AuditEntry, row: Any) -> list[str]:
    """Return the fields with other values than those after the change of an entry."""
    changed = [name for name, value in new_values(view, entry).items() if getattr(row, name) != value]
    if entry.action == "create":  # Undo also deletes the links of the row, and the log has their titles
        for name in many_to_many_of(view.mapper):
            _, titles = entry.changes.get(name, ([], []))
            if len(getattr(row, name)) != len(titles):
                changed.append(name)
    return changed
