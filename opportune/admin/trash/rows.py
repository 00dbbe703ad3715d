"""Rows of a view in the trash: queries, restoration and permanent deletion."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.authorization import may_delete_any
from opportune.admin.lists.row_keys import match_primary_keys
from opportune.admin.log import audit
from opportune.admin.views import AdminView
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.row_count import RowCount, read_row_counts
from opportune.db.sessions.trash import deleted_rows_included, restore, with_deleted
from opportune.pagination import select_key


def deleted_at(view: AdminView) -> Any:
    """The column with the time of deletion."""
    return view.mapper.all_orm_descriptors["deleted_at"]


def has_trash(view: AdminView) -> bool:
    return issubclass(view.model, SoftDelete)


def may_use_trash(request: Request, view: AdminView) -> bool:
    """Return whether the user may see, restore and permanently delete rows in the trash."""
    return has_trash(view) and may_delete_any(request, view)


def deleted_rows(request: Request, view: AdminView) -> Select[Any]:
    """Select the rows in the trash that the user may change."""
    rows = view.list_query(request).where(deleted_at(view).is_not(None), *view.rules.writable(request))
    return with_deleted(rows)


async def find_deleted(request: Request, view: AdminView) -> Any:
    """Return the row in the URL if it is in the trash of this user, or None."""
    if not may_use_trash(request, view):
        return None
    has_key = match_primary_keys(view, [request.path_params["pk"]])
    rows = deleted_rows(request, view).where(has_key).options(*view.queries.loading(()))
    return next(iter(await view.queries.objects(rows)), None)


async def count_deleted(request: Request, view: AdminView) -> RowCount:
    """Count the rows in the trash that the user may change. The number of many rows is estimated."""
    async with view.session_maker() as session:
        with deleted_rows_included(session):
            keys = select_key(deleted_rows(request, view), view.pk_columns[0])
            [count] = await read_row_counts(session, [keys])
    return count


async def restore_rows(request: Request, view: AdminView, pks: Sequence[str]) -> None:
    """Take all of these rows out of the trash or none.

    Raises:
        FieldErrors: Another row now has a value that must be unique.
    """
    with translate_database_errors(view.table):
        async with view.site.database.writer() as session:
            for row in await _lock_deleted(session, request, view, pks):
                await restore(session, row)
                audit.record_row(session, request, "restore", view.identity, row, {})


async def purge_rows(request: Request, view: AdminView, pks: Sequence[str]) -> None:
    """Delete all of these rows permanently or none.

    Raises:
        FieldErrors: A hook refuses it, or other rows refer to a row.
    """
    with translate_database_errors(view.table, deleting=True):
        async with view.site.database.writer() as session:
            rows = await _lock_deleted(session, request, view, pks)
            with deleted_rows_included(session, purges=True):
                await view.writer(session, request).delete(rows)
    for row in rows:
        await view.after_model_delete(row, request)


async def _lock_deleted(session: AsyncSession, request: Request, view: AdminView, pks: Sequence[str]) -> Sequence[Any]:
    writer = view.writer(session, request)
    return await writer.lock_selected(deleted_rows(request, view), pks, view.check_can_delete)
