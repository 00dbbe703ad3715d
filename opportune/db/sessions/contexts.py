"""Contexts: a reader, or a reader and a writer, that one task uses."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import ClassVar, Protocol, Self

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncSession


class SessionSource(Protocol):
    """Sessions that a context opens: those of a `Database`."""

    snapshot_statement: ClassVar[TextClause]

    def reader(self) -> AbstractAsyncContextManager[AsyncSession]: ...

    def writer(self) -> AbstractAsyncContextManager[AsyncSession]: ...


class ReadonlyContext:
    """Reader on one snapshot. Only the task that opened it may use it.

    A subclass may take more parameters in `__call__`, which sets them and returns the context:
    `Search(database)(q="milk")`.
    """

    _reader: AsyncSession

    def __init__(self, database: SessionSource) -> None:
        self.database = database
        self._stack = AsyncExitStack()
        self._owner: asyncio.Task[object] | None = None

    @property
    def reader(self) -> AsyncSession:
        self._check_owner()
        return self._reader

    async def __aenter__(self) -> Self:
        if self._owner:
            raise RuntimeError("This context is already open. Open a second context for other transactions.")
        self._owner = asyncio.current_task()
        async with AsyncExitStack() as stack:
            stack.callback(self._clear_owner)
            await self._open_sessions(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(type_, error, trace)

    def _clear_owner(self) -> None:
        self._owner = None

    async def _open_sessions(self, stack: AsyncExitStack) -> None:
        self._reader = await stack.enter_async_context(self.database.reader())

    def _check_owner(self) -> None:
        if self._owner is None:
            raise RuntimeError("This context is not open. Use its sessions inside its `async with` block.")
        if self._owner is not _current_task():
            # Two tasks that share a session would mix their statements in one transaction.
            raise RuntimeError("This context belongs to another task. Open a new one: async with database.context()")


class Context(ReadonlyContext):
    """Reader on the snapshot before the writes, and a writer that commits when the block ends."""

    _writer: AsyncSession

    @property
    def writer(self) -> AsyncSession:
        """Write session. It blocks other writers only after its first statement, which begins the transaction."""
        self._check_owner()
        return self._writer

    async def _open_sessions(self, stack: AsyncExitStack) -> None:
        await super()._open_sessions(stack)
        # Both databases take the snapshot with the first read, not with BEGIN.
        await self._reader.execute(self.database.snapshot_statement)
        self._writer = await stack.enter_async_context(self.database.writer())


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return None
