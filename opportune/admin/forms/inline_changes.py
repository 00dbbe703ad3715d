"""Saves inline rows in the transaction of the row they refer to."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.edit_conflicts import read_values, refuse_changed_row
from opportune.admin.forms.inlines import ROW_IS_GONE, InlineRow, InlineTable
from opportune.db.constraint_errors import translate_database_errors
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l

INVALID_ROWS = _l("Please correct the rows below.")


def validate_inlines(tables: Iterable[InlineTable]) -> bool:
    """Validate every line, so that the page shows all errors."""
    return not [table for table in tables if not table.clean()]


async def save_inlines(session: AsyncSession, request: Request, parent: Any, tables: Iterable[InlineTable]) -> None:
    """Save the lines in the transaction of the parent row.

    Raises:
        ValidationRefused: A line is not valid. Its message is beside it.
    """
    for table in tables:
        for line in table.lines:
            try:
                with translate_database_errors(table.view.table, deleting=line.is_deleted):
                    await _save(session, request, parent, table, line)
            except FieldErrors as refusal:
                line.refuse(refusal)
                raise ValidationRefused(INVALID_ROWS) from refusal


async def _save(session: AsyncSession, request: Request, parent: Any, table: InlineTable, line: InlineRow) -> None:
    if not line.is_deleted and not line.values:
        return
    view, by = table.view, table.by
    if line.row is None:
        line.saved_row = await view.add_row(session, request, line.values, {by: parent.id})
        return
    has_key: Any = view.select_by_identifier(line.key).whereclause
    rows = view.list_query(request).where(has_key, getattr(view.model, by) == parent.id)
    check = view.check_can_delete if line.is_deleted else view.check_can_edit
    locked = await view.lock_rows(session, request, rows, check)
    if not locked:
        raise ValidationRefused(ROW_IS_GONE)
    refuse_changed_row(locked[0], read_values(view, line.form, line.stored))
    if line.is_deleted:
        await view.remove_rows(session, request, locked)
    else:
        await view.change_row(session, request, locked[0], line.values)
    line.saved_row = locked[0]


async def after_inlines(request: Request, tables: Iterable[InlineTable]) -> None:
    """Call SQLAdmin's hooks that run after the commit."""
    for table in tables:
        for line in table.lines:
            if line.saved_row is not None and line.is_deleted:
                await table.view.after_model_delete(line.saved_row, request)
            elif line.saved_row is not None:
                await table.view.after_model_change(line.values, line.saved_row, line.row is None, request)
