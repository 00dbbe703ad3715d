"""Session with hooks of rows and callbacks around the commit, which `Database.writer` and `Database.reader` open."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Executable, event, inspect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.orm import SessionTransaction

from opportune.db.errors import MAY_BE_COMMITTED, is_unknown_commit, may_be_committed
from opportune.db.sessions.hook_runner import run_after_hooks
from opportune.db.sessions.hooked_session import HookedSession
from opportune.db.sessions.insertion import InsertingSession
from opportune.db.sessions.state import Callback, session_state
from opportune.services.tasks import run_to_end

Rows = Sequence[Sequence[Any]]
Fetch = Callable[[Executable, Mapping[str, Any]], Awaitable[Rows]]

on_commit: ContextVar[Callable[[AsyncSession], Awaitable[None]] | None] = ContextVar("on_commit", default=None)
"""Called in each transaction of the current request before its commit."""


class Session(AsyncSession):
    """Session that runs row hooks and the callbacks of `before_commit` and `after_commit`."""

    sync_session: InsertingSession
    sync_session_class = InsertingSession

    def __init__(self, *, autocommit_fetch: Fetch | None = None, **options: Any) -> None:
        super().__init__(close_resets_only=False, **options)  # closed for good: a background task must open its own
        self._autocommit_fetch = autocommit_fetch

    async def fetch(self, statement: Executable, values: Mapping[str, Any]) -> Rows:
        """Return the rows of a statement without building ORM objects, which takes most of the time.

        Without an open transaction the statement runs in a transaction of one statement.
        """
        if self._autocommit_fetch is None or self.sync_session.in_transaction():
            return await self.run_sync(_fetch_in_transaction, statement, values)
        return await self._autocommit_fetch(statement, values)

    async def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Write pending changes and run their hooks."""
        await super().flush(objects)
        await run_after_hooks(self, super().flush)

    async def commit(self) -> None:
        state = self.sync_session.state
        if state.runs_after_hooks:
            raise RuntimeError("A hook must not commit. It runs in the transaction of its row.")
        while True:
            if self.sync_session.has_rows_with_hooks():
                await self.flush()
            if not state.before_commit:
                break
            callbacks = state.before_commit
            state.before_commit = []
            for callback, _ in callbacks:
                await callback()
        try:
            if state.after_commit:
                await run_to_end(self._commit_and_call_back())
            else:
                await super().commit()
        except BaseException as error:
            if is_unknown_commit(error):
                error.add_note(MAY_BE_COMMITTED)
            raise

    async def _commit_and_call_back(self) -> None:
        await super().commit()
        state = self.sync_session.state
        callbacks = state.after_commit
        state.after_commit = []
        try:
            async with AsyncExitStack() as stack:  # an error does not keep later callbacks from running
                for callback, _ in reversed(callbacks):
                    stack.push_async_callback(callback)
        except BaseException as error:
            error.add_note(MAY_BE_COMMITTED)
            raise

    async def rollback(self) -> None:
        self.sync_session.state.discard()
        await super().rollback()

    async def __aexit__(self, type_: Any, value: Any, traceback: Any) -> None:
        # SQLAlchemy closes the session in a separate task, in case the request is cancelled. Only an error needs that.
        if type_ is not None:
            await super().__aexit__(type_, value, traceback)
        elif self.sync_session.in_transaction():
            await self.close()
        else:  # no transaction, so closing needs no I/O
            self.sync_session.close()


class ReadingSession(Session):
    """Session of a reader. It raises an error for changes, which it would lose."""

    async def __aexit__(self, type_: Any, value: Any, traceback: Any) -> None:
        session = self.sync_session
        changed = [*session.new, *session.deleted, *filter(session.is_modified, session.dirty)]
        await super().__aexit__(type_, value, traceback)
        if changed and type_ is None:
            raise RuntimeError(
                f"{type(changed[0]).__name__} was changed in a reader, which stores nothing. Use a WriteSession, or "
                "database.writer(). To change a row only for display, call session.expunge(row) first."
            )


def _fetch_in_transaction(session: SyncSession, statement: Executable, values: Mapping[str, Any]) -> Rows:
    if session.autoflush and (session.new or session.dirty or session.deleted):
        session.flush()
    return session.connection().execute(statement, values).all()


async def undo_changes(session: AsyncSession) -> None:
    """Roll back, and continue with the stored values. For a route that shows a refusal instead of raising it."""
    await session.rollback()
    await reload_expired(session)


async def reload_expired(session: AsyncSession) -> None:
    """Load the rows again that a rollback has expired, because a page shows them."""
    for row in [*session]:
        if inspect(row).expired:
            await session.refresh(row)


def before_commit(session: AsyncSession, callback: Callback) -> None:
    """Run a callback as the last step of the transaction.

    A rollback of the transaction or of the current savepoint discards it.
    """
    session_state(session).before_commit.append((callback, session.sync_session.get_nested_transaction()))


def after_commit(session: AsyncSession, callback: Callback) -> None:
    """Run a callback after the session has committed, before the response is sent.

    A rollback of the transaction or of the current savepoint discards it. If a callback raises an error, the others
    also run. A cancelled task first ends its commit and runs the callbacks.
    """
    session_state(session).after_commit.append((callback, session.sync_session.get_nested_transaction()))


def after_failure(session: AsyncSession, callback: Callback) -> None:
    """Run a callback if the transaction of `database.writer()` fails, unless it may have been committed.

    Args:
        session: Session of the transaction.
        callback: Coroutine function without arguments. It runs after the session is closed.
    """
    session_state(session).after_failure.append(callback)


async def run_failure_callbacks(session: AsyncSession, error: BaseException) -> None:
    """Run the callbacks of `after_failure`, unless the transaction may have been committed."""
    if not may_be_committed(error):
        for callback in session_state(session).after_failure:
            await callback()


@event.listens_for(HookedSession, "after_soft_rollback")
def _discard_savepoint(session: HookedSession, savepoint: SessionTransaction) -> None:
    if savepoint.nested:
        session.state.discard_savepoint(savepoint)


def read_sessionmaker(engine: AsyncEngine, info: dict[str, Any]) -> async_sessionmaker[ReadingSession]:
    return async_sessionmaker(engine, class_=ReadingSession, expire_on_commit=False, autoflush=False, info=info)
