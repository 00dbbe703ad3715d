"""Changes to rows. Each transaction checks permissions again, runs hooks and writes the audit log."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqladmin.authorization import custom_action
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession, async_object_session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.base import Check
from opportune.admin.forms.edit_conflicts import READ_VALUES_KEY, refuse_changed_row
from opportune.admin.forms.foreign_keys import link_rows
from opportune.admin.forms.inline import INLINES_KEY, RelatedRows
from opportune.admin.lists.actions import list_url, match_primary_keys
from opportune.admin.lists.display import DisplayMixin
from opportune.admin.log import audit, diff
from opportune.admin.models import PURGE, AuditEntry
from opportune.admin.persistence.file_cleanup import defer_file_deletion
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.trash_conflicts import explain_trash_conflict
from opportune.db.sessions.insertion import insert_row, insert_rows, number_new_rows
from opportune.db.sessions.trash import PURGES
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.web.rendering.flash import flash

RowAction = Callable[[AsyncSession, Any], Awaitable[None]]


@dataclass(frozen=True)
class _Change:
    """A change whose row is not written yet, with the data for the steps after that."""

    row: Any
    is_created: bool
    before: diff.Values
    links: diff.Changes
    """Changes of many-to-many relationships."""
    related: dict[str, Any]
    """Values of `related_fields`."""
    tables: Sequence[RelatedRows]


class PersistenceMixin(DisplayMixin):
    # Hooks, in the transaction of the change. `ValidationRefused` rolls it back and shows its message.

    async def before_save(self, session: AsyncSession, row: Any, request: Request, *, is_created: bool) -> None:
        """Change a row before it is written. It has the values of the form. Queries in this hook do not flush it."""

    async def after_save(self, session: AsyncSession, row: Any, request: Request, *, is_created: bool) -> None:
        """Run after the row is written and has its id. Changes to the row in this hook are stored but not logged."""

    async def before_delete(self, session: AsyncSession, row: Any, request: Request) -> None:
        """Check a locked row and its related rows before they are deleted."""

    async def after_delete(self, session: AsyncSession, row: Any, request: Request) -> None:
        """Run after the row is deleted."""

    # Changes, each in its own transaction

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        tables = data.get(INLINES_KEY, ())
        async with self._writer(data) as session:
            row = await self.add_row(session, request, data)
        await self.after_model_change(data, row, True, request)
        for table in tables:
            await table.run_hooks(request)
        return row

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        tables, read_values = data.get(INLINES_KEY, ()), data.pop(READ_VALUES_KEY, {})
        async with self._writer(data) as session:
            row = await self._lock_one(session, request, self.form_edit_query(request), self.check_can_edit)
            refuse_changed_row(row, read_values)
            await self.change_row(session, request, row, data)
        await self.after_model_change(data, row, False, request)
        for table in tables:
            await table.run_hooks(request)
        return row

    @asynccontextmanager
    async def _writer(self, values: Mapping[str, Any]) -> AsyncIterator[AsyncSession]:
        """Open a session that writes a row with these values. Constraint violations become `FieldErrors`."""
        database, submitted = self.site.database, dict(values)
        try:
            with translate_database_errors(self.table):
                async with database.writer() as session:
                    yield session
        except FieldErrors as error:
            async with database.reader(fresh=True) as session:
                raise await explain_trash_conflict(session, self.model, error, submitted) from error

    async def delete_rows(self, request: Request, pks: Sequence[str]) -> None:
        """Delete all of these rows or none.

        Raises:
            ValidationRefused: A row may not be deleted, or other rows refer to it.
        """
        with translate_database_errors(self.table, deleting=True):
            async with self.site.database.writer() as session:
                rows = await self._lock_selected(session, request, pks, self.check_can_delete)
                await self.remove_rows(session, request, rows)
        for row in rows:
            await self.after_model_delete(row, request)

    async def apply_to_selected(self, request: Request, slug: str, action: RowAction, result: str) -> Response:
        """Run an action on all selected rows or none. Then show a message such as "Ann: signed out."."""

        async def may(request: Request, row: Any) -> bool:
            return self.has_permission(request, custom_action(slug), row)

        pks = request.query_params["pks"].split(",")
        with translate_database_errors(self.table):
            async with self.site.database.writer() as session:
                rows = await self._lock_selected(session, request, pks, may)
                for row in rows:
                    before = diff.snapshot(row)
                    await action(session, row)
                    changes = diff.diff_edited(before, row)
                    audit.record_row(session, request, custom_action(slug), self.identity, row, changes)
        number = format_number(len(rows))
        subject = await self.title_for(request, rows[0]) if len(rows) == 1 else f"{number} {self.name_plural}"
        flash(request, f"{subject}: {gettext(result)}.")
        return RedirectResponse(list_url(request, self), 303)

    # Steps in the caller's transaction

    async def lock_rows(
        self, session: AsyncSession, request: Request, rows: Select[Any], check: Check
    ) -> Sequence[Any]:
        """Lock rows that are to be changed, and load their relationships for hooks and actions.

        Raises:
            HTTPException: The user may not change one of them.
        """
        # Always in the same order, so that two transactions do not deadlock.
        writable = rows.where(*self.writable(request)).order_by(None).order_by(*self.pk_columns)
        statement = writable.with_for_update(of=self.model).options(*self._loading_for_hooks())
        locked = (await session.scalars(statement)).all()
        for row in locked:
            if not await check(request, row):
                raise HTTPException(403)
        return locked

    async def _lock_one(self, session: AsyncSession, request: Request, rows: Select[Any], check: Check) -> Any:
        """Lock one row. Raises HTTPException 404 if it no longer exists."""
        locked = await self.lock_rows(session, request, rows, check)
        if not locked:
            raise HTTPException(404)
        return locked[0]

    async def _lock_selected(
        self, session: AsyncSession, request: Request, pks: Sequence[str], check: Check
    ) -> Sequence[Any]:
        rows = await self.lock_rows(
            session, request, self.list_query(request).where(match_primary_keys(self, pks)), check
        )
        if len(rows) < len(pks):
            raise HTTPException(404)
        return rows

    async def add_row(
        self, session: AsyncSession, request: Request, data: dict[str, Any], preset: Mapping[str, Any] | None = None
    ) -> Any:
        """Add a row. `preset` holds values that do not come from the form."""
        row = self.model()
        await self._check_references(session, request, row, data)
        await self._save_row(session, request, row, {**data, **(preset or {})}, is_created=True)
        return row

    async def change_row(self, session: AsyncSession, request: Request, row: Any, data: dict[str, Any]) -> None:
        await self._check_references(session, request, row, data)
        await self._save_row(session, request, row, data, is_created=False)

    async def _check_references(
        self, session: AsyncSession, request: Request, row: Any, data: Mapping[str, Any]
    ) -> None:
        for name, lookup in self.references.items():
            row_id = data.get(name)
            if row_id is not None and row_id != getattr(row, name):
                await lookup.allowed_rows(session, request, [row_id])

    async def save_rows(
        self, session: AsyncSession, request: Request, rows: Sequence[tuple[Any, Mapping[str, Any]]]
    ) -> list[Any]:
        """Store the values of several rows with a few statements. Where the row is None, add a new one.

        If the view has a hook that runs before a row is written, rows are written one by one.
        """
        if self._has_hook("before_save", "on_model_change"):
            return [await self._save_one(session, request, row, dict(data)) for row, data in rows]
        pending = []
        with session.no_autoflush:
            for row, data in rows:
                target = self.model() if row is None else row
                await self._check_references(session, request, target, data)
                pending.append(await self._prepare_change(session, request, target, dict(data), is_created=row is None))
        await insert_rows(session, [change.row for change in pending if change.is_created])
        for change in pending:
            await self._finish_change(session, request, change)
        await number_new_rows(session, AuditEntry)
        return [change.row for change in pending]

    def _has_hook(self, *names: str) -> bool:
        return any(getattr(type(self), name) is not getattr(PersistenceMixin, name) for name in names)

    async def _save_one(self, session: AsyncSession, request: Request, row: Any, data: dict[str, Any]) -> Any:
        if row is None:
            return await self.add_row(session, request, data)
        await self.change_row(session, request, row, data)
        return row

    async def _save_row(
        self, session: AsyncSession, request: Request, row: Any, data: dict[str, Any], *, is_created: bool
    ) -> None:
        change = await self._prepare_change(session, request, row, data, is_created=is_created)
        await (insert_row(session, row) if is_created else session.flush())
        await self._finish_change(session, request, change)

    async def _prepare_change(
        self, session: AsyncSession, request: Request, row: Any, data: dict[str, Any], *, is_created: bool
    ) -> "_Change":
        """Set the values and run the hooks before a row is written."""
        before = {} if is_created else diff.snapshot(row)
        related = {name: data.pop(name) for name in self.related_fields if name in data}
        linked = {name: data.pop(name) for name in self.many_to_many if name in data}
        tables = data.pop(INLINES_KEY, ())
        with session.no_autoflush:  # queries of hooks must not write the row
            links = await self._set_values(session, request, row, data, linked, is_created=is_created)
            await self.before_save(session, row, request, is_created=is_created)
        return _Change(row, is_created, before, links, related, tables)

    async def _finish_change(self, session: AsyncSession, request: Request, change: "_Change") -> None:
        """Store related rows, write the log and run the hooks after a row is written."""
        row, is_created = change.row, change.is_created
        related = await self.save_related(session, request, row, change.related)
        changes = diff.diff_edited(change.before, row) | change.links | related
        if is_created or changes:
            audit.record_row(session, request, "create" if is_created else "update", self.identity, row, changes)
        for table in change.tables:
            await table.save(session, request, row)
        await self.after_save(session, row, request, is_created=is_created)

    async def _set_values(
        self,
        session: AsyncSession,
        request: Request,
        row: Any,
        data: dict[str, Any],
        linked: Mapping[str, Sequence[int]],
        *,
        is_created: bool,
    ) -> diff.Changes:
        links = await link_rows(session, request, self.many_to_many, row, linked)
        if is_created:
            _set_attributes(row, data)
            session.add(row)
            await self._load_for_hooks(session, row)
        await self.on_model_change(data, row, is_created, request)  # SQLAdmin's hook, which may change the values
        if not is_created:
            defer_file_deletion(session, row, data.keys() & self.file_columns.keys())
        _set_attributes(row, data)
        await self._load_for_hooks(session, row)
        return links

    async def _load_for_hooks(self, session: AsyncSession, row: Any) -> None:
        if self._has_hook("before_save", "after_save", "on_model_change", "after_model_change"):
            await self._load_relationships(session, row)

    async def save_related(
        self, session: AsyncSession, request: Request, row: Any, related: dict[str, Any]
    ) -> diff.Changes:
        """Store the values of `related_fields`. Return the changes for the log."""
        return {}

    async def remove_rows(self, session: AsyncSession, request: Request, rows: Sequence[Any]) -> None:
        is_purge = bool(session.info.get(PURGES))
        is_permanent = is_purge or not issubclass(self.model, SoftDelete)
        for row in rows:
            await self.on_model_delete(row, request)
            await self.before_delete(session, row, request)
            if is_permanent:
                defer_file_deletion(session, row, self.file_columns.keys())
            action = PURGE if is_purge else "delete"
            audit.record_row(session, request, action, self.identity, row, diff.diff_deleted(row))
            await session.delete(row)
        await session.flush()
        for row in rows:
            await self.after_delete(session, row, request)


def _set_attributes(row: Any, data: Mapping[str, Any]) -> None:
    for name, value in data.items():
        setattr(row, name, value)


def session_of(row: Any) -> AsyncSession:
    """Return the session that writes this row, for SQLAdmin's own hooks, which have no session.

    Raises:
        RuntimeError: The transaction is over, as in `after_model_change` and `after_model_delete`.
    """
    session = async_object_session(row)
    if session is None:
        raise RuntimeError("The transaction of this row is over. Use before_save, after_save or before_delete.")
    return session
