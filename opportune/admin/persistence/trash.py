"""Rows of a view in the trash: queries, restoration and permanent deletion."""

from collections.abc import Sequence
from typing import Any

from sqladmin.authorization import Action
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.admin.lists.actions import match_primary_keys
from opportune.admin.log import audit
from opportune.admin.persistence.transactions import PersistenceMixin
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.sessions.trash import deleted_rows_included, restore, with_deleted
from opportune.pagination import count_rows


class TrashMixin(PersistenceMixin):
    @property
    def has_trash(self) -> bool:
        return issubclass(self.model, SoftDelete)

    @property
    def deleted_at(self) -> Any:
        """The column with the time of deletion."""
        return self.mapper.all_orm_descriptors["deleted_at"]

    def may_use_trash(self, request: Request) -> bool:
        """Return whether the user may see, restore and permanently delete rows in the trash."""
        is_allowed = self.can_delete and self.is_accessible(request) and self.has_permission(request, Action.DELETE)
        return self.has_trash and bool(is_allowed)

    def deleted_rows(self, request: Request) -> Select[Any]:
        """Select the rows in the trash that the user may change."""
        rows = self.list_query(request).where(self.deleted_at.is_not(None), *self.writable(request))
        return with_deleted(rows)

    async def find_deleted(self, request: Request) -> Any:
        """Return the row in the address if it is in the trash of this user, or None."""
        if not self.may_use_trash(request):
            return None
        has_key = match_primary_keys(self, [request.path_params["pk"]])
        rows = self.deleted_rows(request).where(has_key).options(*self.loading(()))
        return next(iter(await self.fetch_rows(rows)), None)

    async def count_deleted(self, request: Request) -> int:
        (count,) = await self.fetch_rows(with_deleted(count_rows(self.deleted_rows(request), self.pk_columns[0])))
        return int(count)

    async def restore_rows(self, request: Request, pks: Sequence[str]) -> None:
        """Take all of these rows out of the trash or none.

        Raises:
            FieldErrors: Another row now has a value that must be unique.
        """
        with translate_database_errors(self.table):
            async with self.site.database.writer() as session:
                for row in await self._lock_deleted(session, request, pks):
                    await restore(session, row)
                    audit.record_row(session, request, "restore", self.identity, row, {})

    async def purge_rows(self, request: Request, pks: Sequence[str]) -> None:
        """Delete all of these rows permanently or none.

        Raises:
            FieldErrors: A hook refuses it, or other rows refer to a row.
        """
        with translate_database_errors(self.table, deleting=True):
            async with self.site.database.writer() as session:
                rows = await self._lock_deleted(session, request, pks)
                with deleted_rows_included(session, purges=True):
                    await self.remove_rows(session, request, rows)
        for row in rows:
            await self.after_model_delete(row, request)

    async def _lock_deleted(self, session: AsyncSession, request: Request, pks: Sequence[str]) -> Sequence[Any]:
        rows = self.deleted_rows(request).where(match_primary_keys(self, pks))
        locked = await self.lock_rows(session, request, rows, self.check_can_delete)
        if len(locked) < len(pks):
            raise HTTPException(404)
        return locked
