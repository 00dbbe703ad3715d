"""Rows in the trash: hidden from queries, restored and deleted permanently."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Executable, event, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session
from sqlmodel import SQLModel

from opportune.db.clock import utc_now
from opportune.db.hooks.change_origin import acting_user_id
from opportune.db.models.soft_delete import SoftDelete, live_row_options
from opportune.db.sessions.state import SessionState, session_state

Statement = TypeVar("Statement", bound=Executable)

INCLUDES_DELETED = "includes_deleted"
"""Execution option of statements."""
_hidden_statements: WeakKeyDictionary[Any, tuple[int, Any]] = WeakKeyDictionary()
"""Statements with the options that hide rows in the trash, so that SQLAlchemy computes their cache keys once."""


def with_deleted(statement: Statement) -> Statement:
    """Return a query that also returns rows in the trash, also as related rows: `with_deleted(select(Book))`."""
    return statement.execution_options(**{INCLUDES_DELETED: True})


def hide_deleted(statement: Statement) -> Statement:
    """Return the query without rows in the trash, for statements that no session executes."""
    if not live_row_options:
        return statement
    hidden: Statement
    count, hidden = _hidden_statements.get(statement, (0, statement))
    if count != len(live_row_options):  # a model may be declared later
        hidden = statement.options(*live_row_options)
        _hidden_statements[statement] = (len(live_row_options), hidden)
    return hidden


@contextmanager
def deleted_rows_included(session: AsyncSession, *, purges: bool = False) -> Iterator[None]:
    """Include rows in the trash in the queries of a session within this block.

    Args:
        purges: Also let `session.delete(row)` delete rows permanently.
    """
    state = session_state(session)
    previous = (state.includes_deleted, state.purges)
    state.includes_deleted = True
    state.purges = state.purges or purges
    try:
        yield
    finally:
        state.includes_deleted, state.purges = previous


async def restore(session: AsyncSession, row: SoftDelete) -> None:
    """Take a row, which was loaded with `with_deleted`, out of the trash."""
    row.deleted_at = row.deleted_by_id = None
    await session.flush()


async def purge(session: AsyncSession, row: SQLModel) -> None:
    """Delete a row permanently, whether it is in the trash or not."""
    with deleted_rows_included(session, purges=True):
        await session.delete(row)
        await session.flush()


class TrashSession(Session):
    """Session that hides rows in the trash, and moves deleted rows there."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.state = SessionState()
        if live_row_options:
            _hide_deleted_in_queries()

    def delete(self, instance: object) -> None:
        row_state = inspect(instance, raiseerr=False)
        if isinstance(instance, SoftDelete) and row_state and row_state.key and not self.state.purges:
            self.add(instance)  # the row may come from another session
            if instance.deleted_at is None:
                instance.deleted_at = utc_now()
                instance.deleted_by_id = acting_user_id()
            return
        if live_row_options and row_state:
            row_state.load_options = ()  # cascades also reach rows in the trash
        super().delete(instance)

    def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        row = super().get(entity, ident, **options)
        if isinstance(row, SoftDelete) and row.deleted_at is not None:  # the session had loaded it before
            is_included = self.state.includes_deleted or options.get("execution_options", {}).get(INCLUDES_DELETED)
            return row if is_included else None
        return row


@cache  # each session calls this
def _hide_deleted_in_queries() -> None:
    """Add the listener once. It slows down each query, so sites without `SoftDelete` models have none."""
    event.listen(TrashSession, "do_orm_execute", _hide_deleted_rows)


def _hide_deleted_rows(state: ORMExecuteState) -> None:
    """Leave rows in the trash out. Changed and deleted rows are refreshed in any case."""
    if not state.is_select or state.is_column_load or _inherits_options(state):
        return
    session: Any = state.session
    if not (state.execution_options.get(INCLUDES_DELETED) or session.state.includes_deleted):
        state.statement = hide_deleted(state.statement)


def _inherits_options(state: ORMExecuteState) -> bool:
    """Return whether a relationship is loaded with the options of the query for its row."""
    if not state.is_relationship_load:
        return False
    loaded_from = state.lazy_loaded_from
    return loaded_from is None or any(option in live_row_options for option in loaded_from.load_options)
