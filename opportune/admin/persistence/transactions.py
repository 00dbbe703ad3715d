"""Changes to rows, each in its own transaction, which checks permissions again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar

from sqladmin.authorization import custom_action
from sqlalchemy.ext.asyncio import AsyncSession, async_object_session
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.forms.edit_conflicts import READ_VALUES_KEY, refuse_changed_row
from opportune.admin.forms.inline import INLINES_KEY
from opportune.admin.lists.actions import list_url
from opportune.admin.lists.display import DisplayMixin, title_for
from opportune.admin.log import audit, diff
from opportune.admin.persistence.row_writer import RowWriter
from opportune.db.constraint_errors import explain_trash_conflict, translate_database_errors
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.web.rendering.flash import flash

RowAction = Callable[[AsyncSession, Any], Awaitable[None]]


class PersistenceMixin(DisplayMixin):
    _writer: ClassVar[type[RowWriter]] = RowWriter

    def __init__(self) -> None:
        super().__init__()
        self.writer = partial(self._writer, self)

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        tables = data.get(INLINES_KEY, ())
        async with self._writer_of_row(request, data) as writer:
            row = await writer.add(data)
        await self.after_model_change(data, row, True, request)
        for table in tables:
            await table.run_hooks(request)
        return row

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        tables, read_values = data.get(INLINES_KEY, ()), data.pop(READ_VALUES_KEY, {})
        async with self._writer_of_row(request, data) as writer:
            row = await writer.lock_one(self.form_edit_query(request), self.check_can_edit)
            refuse_changed_row(row, read_values)
            await writer.change(row, data)
        await self.after_model_change(data, row, False, request)
        for table in tables:
            await table.run_hooks(request)
        return row

    @asynccontextmanager
    async def _writer_of_row(self, request: Request, values: Mapping[str, Any]) -> AsyncIterator[RowWriter]:
        """Open a transaction for a row with these values. Constraint violations become `FieldErrors`."""
        database, submitted = self.site.database, dict(values)
        try:
            with translate_database_errors(self.table):
                async with database.writer() as session:
                    yield self.writer(session, request)
        except FieldErrors as error:
            async with database.reader(fresh=True) as session:
                raise await explain_trash_conflict(session, self.model, error, submitted) from error

    async def apply_to_selected(self, request: Request, slug: str, action: RowAction, result: str) -> Response:
        """Run an action on all selected rows or none. Then show a message such as "Ann: signed out."."""

        async def may(request: Request, row: Any) -> bool:
            return self.has_permission(request, custom_action(slug), row)

        pks = request.query_params["pks"].split(",")
        with translate_database_errors(self.table):
            async with self.site.database.writer() as session:
                rows = await self.writer(session, request).lock_selected(self.list_query(request), pks, may)
                for row in rows:
                    before = diff.snapshot(row)
                    await action(session, row)
                    changes = diff.diff_edited(before, row)
                    audit.record_row(session, request, custom_action(slug), self.identity, row, changes)
        number = format_number(len(rows))
        subject = await title_for(request, self, rows[0]) if len(rows) == 1 else f"{number} {self.name_plural}"
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
