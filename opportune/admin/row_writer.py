"""Writes the rows of a view: locks, permissions, hooks, related rows and the audit log."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import Any, ClassVar, NamedTuple

from sqladmin.authorization import custom_action
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession, async_object_session
from sqlalchemy.orm.attributes import set_committed_value
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.base import INLINES_KEY, READ_VALUES_KEY, BaseAdminView, Check
from opportune.admin.forms.edit_conflicts import refuse_changed_row
from opportune.admin.forms.foreign_keys import link_rows
from opportune.admin.lists.actions import describe_rows, list_url, selected_keys
from opportune.admin.lists.display import DisplayMixin, title_for
from opportune.admin.lists.row_keys import match_primary_keys
from opportune.admin.log import audit, diff
from opportune.admin.models import PURGE, AuditEntry
from opportune.db.constraint_errors import explain_conflict, translate_database_errors
from opportune.db.models.columns import many_to_many_of
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.paths import column_of_relation, read_path_values
from opportune.db.sessions.insertion import insert_row, insert_rows
from opportune.db.sessions.numbering import number_new_rows
from opportune.db.sessions.state import session_state
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files
from opportune.web.rendering.flash import flash

RowAction = Callable[[AsyncSession, Any], Awaitable[None]]
"""Changes a locked row."""


class Change(NamedTuple):
    """A row to write, with the data for the steps after that."""

    row: Any
    is_created: bool
    before: diff.Values
    columns: dict[str, Any]
    """New values of the row, which SQLAdmin's hooks may change."""
    links: diff.Changes
    """Changes of many-to-many relationships."""
    related: Mapping[str, Any]
    """Values of form fields without a column."""

    async def run_hook(self, view: BaseAdminView, request: Request) -> None:
        """Run SQLAdmin's hook, after the transaction."""
        await view.after_model_change(self.columns, self.row, self.is_created, request)


class RowWriter:
    """Locks, adds, changes and deletes rows of a view for the user of a request, in the caller's transaction."""

    def __init__(self, view: BaseAdminView, session: AsyncSession, request: Request) -> None:
        self.view = view
        self.session = session
        self.request = request

    @classmethod
    async def prepare_deletion(cls, view: BaseAdminView, request: Request, pks: Sequence[str]) -> None:
        """Run before the transaction that deletes these rows."""

    async def lock(self, rows: Select[Any], check: Check) -> Sequence[Any]:
        """Lock rows that are to be changed, and load their relationships for hooks and actions.

        Raises:
            HTTPException: The user may not change one of them.
        """
        # Always in the same order, so that two transactions do not deadlock.
        writable = rows.where(*self.view.rules.writable(self.request)).order_by(None).order_by(*self.view.pk_columns)
        loading = self.view.queries.loading([*self._to_one, *many_to_many_of(self.view.mapper)])
        locked = (await self.session.scalars(writable.with_for_update(of=self.view.model).options(*loading))).all()
        for row in locked:
            if not await check(self.request, row):
                raise HTTPException(403)
        return locked

    async def lock_one(self, rows: Select[Any], check: Check) -> Any:
        """Lock one row.

        Raises:
            HTTPException: The row no longer exists.
        """
        locked = await self.lock(rows, check)
        if not locked:
            raise HTTPException(404)
        return locked[0]

    async def lock_selected(self, rows: Select[Any], pks: Sequence[str], check: Check) -> Sequence[Any]:
        """Lock those rows whose keys a user has selected.

        Raises:
            HTTPException: One of them no longer exists.
        """
        locked = await self.lock(rows.where(match_primary_keys(self.view, pks)), check)
        if len(locked) < len(pks):
            raise HTTPException(404)
        return locked

    async def add(
        self, values: Mapping[str, Any], preset: Mapping[str, Any] | None = None, tables: Sequence[Any] = ()
    ) -> Change:
        """Add a row.

        Args:
            values: Values of the form.
            preset: Values that do not come from the form.
            tables: Tables of inlines, which are saved with the row.
        """
        row = self.view.model()
        await self._check_references(row, values)
        change = await self._prepare(row, {**values, **(preset or {})}, is_created=True)
        await insert_row(self.session, row)
        await self._finish(change, tables)
        return change

    async def change(self, row: Any, values: Mapping[str, Any], tables: Sequence[Any] = ()) -> Change:
        """Change a locked row. `tables` are those of inlines, which are saved with the row."""
        await self._check_references(row, values)
        change = await self._prepare(row, values, is_created=False)
        await self.session.flush()
        await self._finish(change, tables)
        return change

    async def save_all(self, rows: Sequence[tuple[Any, Mapping[str, Any]]]) -> list[Change]:
        """Store the values of several rows with a few statements. Where the row is None, add a new one.

        If the view has a hook that runs before a row is written, rows are written one by one.
        """
        changes: list[Change] = []
        if self._has_hook("before_save", "on_model_change"):
            for row, values in rows:
                changes.append(await self.add(values) if row is None else await self.change(row, values))
            return changes
        with self.session.no_autoflush:
            for row, values in rows:
                target = self.view.model() if row is None else row
                await self._check_references(target, values)
                changes.append(await self._prepare(target, values, is_created=row is None))
        await insert_rows(self.session, [change.row for change in changes if change.is_created])
        for change in changes:
            await self._finish(change)
        await number_new_rows(self.session, AuditEntry)
        return changes

    async def delete(self, rows: Sequence[Any]) -> None:
        """Delete locked rows. Those of a `SoftDelete` model go to the trash, unless the session purges."""
        is_purge = session_state(self.session).purges
        is_permanent = is_purge or not issubclass(self.view.model, SoftDelete)
        for row in rows:
            await self.view.on_model_delete(row, self.request)
            await self.view.before_delete(self.session, row, self.request)
            if is_permanent:
                _delete_files_later(self.session, row, self.view.file_columns.keys())
            action = PURGE if is_purge else "delete"
            audit.record_row(self.session, self.request, action, self.view.identity, row, diff.diff_deleted(row))
            await self.session.delete(row)
        await self.session.flush()
        for row in rows:
            await self.view.after_delete(self.session, row, self.request)

    async def _check_references(self, row: Any, values: Mapping[str, Any]) -> None:
        for name, lookup in self.view.references.items():
            row_id = values.get(name)
            if row_id is not None and row_id != getattr(row, name):
                await lookup.allowed_rows(self.session, self.request, [row_id])

    async def _prepare(self, row: Any, values: Mapping[str, Any], *, is_created: bool) -> Change:
        """Set the values and run the hooks before a row is written."""
        before = {} if is_created else diff.snapshot(row)
        related = {name: values[name] for name in self.view.form_extension.names if name in values}
        linked = {name: values[name] for name in self.view.many_to_many if name in values}
        columns = {name: value for name, value in values.items() if name not in related and name not in linked}
        with self.session.no_autoflush:  # queries of hooks must not write the row
            links = await link_rows(self.session, self.request, self.view.many_to_many, row, linked)
            if is_created:
                _set_attributes(row, columns)
                self.session.add(row)
                await self._load_for_hooks(row)
            await self.view.on_model_change(columns, row, is_created, self.request)
            if not is_created:
                _delete_files_later(self.session, row, columns.keys() & self.view.file_columns.keys())
            _set_attributes(row, columns)
            await self._load_for_hooks(row)
            await self.view.before_save(self.session, row, self.request, is_created=is_created)
        return Change(row, is_created, before, columns, links, related)

    async def _finish(self, change: Change, tables: Sequence[Any] = ()) -> None:
        """Store related rows, write the log and run the hooks after a row is written."""
        changes = diff.diff_edited(change.before, change.row) | change.links
        if change.related:
            changes |= await self.view.form_extension.save(self.session, self.request, change.row, change.related)
        if change.is_created or changes:
            action = "create" if change.is_created else "update"
            audit.record_row(self.session, self.request, action, self.view.identity, change.row, changes)
        for table in tables:
            await table.save(self.session, self.request, change.row)
        await self.view.after_save(self.session, change.row, self.request, is_created=change.is_created)

    async def _load_for_hooks(self, row: Any) -> None:
        """Load the relationships of a row whose foreign keys a form has set, before the row is written."""
        if not self._has_hook("before_save", "after_save", "on_model_change", "after_model_change"):
            return
        for name, column in self._to_one.items():
            relation = self.view.mapper.relationships[name]
            if tuple(relation.remote_side) == relation.mapper.primary_key:
                row_id = getattr(row, column)
                related = None if row_id is None else await self.session.get(relation.mapper.class_, row_id)
                set_committed_value(row, name, related)
        await self.session.run_sync(lambda _session: self._load_paths(row))

    def _load_paths(self, row: Any) -> None:
        """Read the paths of `load`, which loads the related rows."""
        for path in self.view.load:
            read_path_values(row, path)

    @cached_property
    def _to_one(self) -> dict[str, str]:
        """Foreign key columns of relationships to one row, by relationship."""
        mapper = self.view.mapper
        columns = {relation.key: column_of_relation(mapper, relation.key) for relation in mapper.relationships}
        return {name: column for name, column in columns.items() if column != name}

    def _has_hook(self, *names: str) -> bool:
        return any(getattr(type(self.view), name) is not getattr(BaseAdminView, name) for name in names)


def _set_attributes(row: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _delete_files_later(session: AsyncSession, row: Any, columns: Collection[str]) -> None:
    """Queue the deletion of the files of these columns, in the transaction that changes the row."""
    if names := [name for column in columns if (name := getattr(row, column))]:
        defer(session, delete_files(names))


class PersistenceMixin(DisplayMixin):
    """Stores the rows of a view, in one transaction per call."""

    _writer: ClassVar[type[RowWriter]] = RowWriter

    def __init__(self) -> None:
        super().__init__()
        self.writer = partial(self._writer, self)

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        """Add a row with the lines of its inlines, and return it."""
        tables = data.pop(INLINES_KEY, ())
        async with self._writer_of_row(request, data) as writer:
            change = await writer.add(data, tables=tables)
        return await self._run_hooks(request, change, tables)

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        """Change the row of the request with the lines of its inlines, and return it.

        Raises:
            RowChanged: The row no longer has the values that the request has read.
        """
        tables = data.pop(INLINES_KEY, ())
        read_values = data.pop(READ_VALUES_KEY, {})
        async with self._writer_of_row(request, data) as writer:
            row = await writer.lock_one(self.form_edit_query(request), self.check_can_edit)
            refuse_changed_row(row, read_values)
            change = await writer.change(row, data, tables)
        return await self._run_hooks(request, change, tables)

    async def _run_hooks(self, request: Request, change: Change, tables: Sequence[Any]) -> Any:
        """Run SQLAdmin's hooks after the transaction, for the row and the lines of its inlines. Return the row."""
        await change.run_hook(self, request)
        for table in tables:
            await table.run_hooks(request)
        return change.row

    @asynccontextmanager
    async def _writer_of_row(self, request: Request, values: Mapping[str, Any]) -> AsyncIterator[RowWriter]:
        """Open a transaction for a row with these values. Constraint violations become `FieldErrors`."""
        try:
            with translate_database_errors(self.table):
                async with self.site.database.writer() as session:
                    yield self.writer(session, request)
        except FieldErrors as error:
            async with self.site.database.reader(fresh=True) as session:
                raise await explain_conflict(session, self.model, error, values, {}) from error

    async def apply_to_selected(self, request: Request, slug: str, action: RowAction, result: str) -> Response:
        """Run an action on all selected rows or none. Then show a message such as "Ann: signed out."."""

        async def may(request: Request, row: Any) -> bool:
            return self.has_permission(request, custom_action(slug), row)

        pks = selected_keys(request)
        with translate_database_errors(self.table):
            async with self.site.database.writer() as session:
                rows = await self.writer(session, request).lock_selected(self.list_query(request), pks, may)
                for row in rows:
                    before = diff.snapshot(row)
                    await action(session, row)
                    changes = diff.diff_edited(before, row)
                    audit.record_row(session, request, custom_action(slug), self.identity, row, changes)
        subject = await title_for(request, self, rows[0]) if len(rows) == 1 else describe_rows(self, len(rows))
        flash(request, f"{subject}: {gettext(result)}.")
        return RedirectResponse(list_url(request, self), 303)


async def delete_rows(request: Request, view: PersistenceMixin, pks: Sequence[str]) -> None:
    """Delete all of these rows or none.

    Raises:
        ValidationRefused: A row may not be deleted, or other rows refer to it.
    """
    with translate_database_errors(view.table, deleting=True):
        await view._writer.prepare_deletion(view, request, pks)
        async with view.site.database.writer() as session:
            writer = view.writer(session, request)
            rows = await writer.lock_selected(view.list_query(request), pks, view.check_can_delete)
            await writer.delete(rows)
    for row in rows:
        await view.after_model_delete(row, request)


def session_of(row: Any) -> AsyncSession:
    """Return the session that writes this row, for SQLAdmin's own hooks, which have no session.

    Raises:
        RuntimeError: The transaction is over, as in `after_model_change` and `after_model_delete`.
    """
    session = async_object_session(row)
    if session is None:
        raise RuntimeError("The transaction of this row is over. Use before_save, after_save or before_delete.")
    return session
