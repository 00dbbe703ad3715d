"""A reader and a writer for one piece of work, in a route and elsewhere: `async with database.context() as context`."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy.ext.asyncio import AsyncSession

if TYPE_CHECKING:
    from opportune.db.database import Database


class ReadonlyContext:
    """Reads from one snapshot. Belongs to the task that opened it.

    A subclass may have extras that its `__call__` takes, sets and answers with itself: `Search(database)(q="milk")`.
    """

    _reader: AsyncSession

    def __init__(self, database: "Database") -> None:
        self.database = database
        self._stack = AsyncExitStack()
        self._owner: asyncio.Task[object] | None = None

    @property
    def reader(self) -> AsyncSession:
        self._check_owner()
        return self._reader

    async def __aenter__(self) -> Self:
        if self._owner:
            raise RuntimeError("This context is open already: a second one begins its own transactions.")
        self._owner = asyncio.current_task()
        async with AsyncExitStack() as stack:
            stack.callback(self._leave)
            await self._begin(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def _leave(self) -> None:
        self._owner = None

    async def _begin(self, stack: AsyncExitStack) -> None:
        self._reader = await stack.enter_async_context(self.database.reader())

    def _check_owner(self) -> None:
        if self._owner is None:
            raise RuntimeError("This context is not open: its sessions live inside its `async with`.")
        if self._owner is not _current_task():
            # Two tasks in one session would mix their statements in one transaction.
            raise RuntimeError(
                "This context belongs to another task. Open one of its own here: async with database.context()"
            )


class Context(ReadonlyContext):
    """Reads from a snapshot of before its own writes, and commits them when its block ends well."""

    _writer: AsyncSession

    @property
    def writer(self) -> AsyncSession:
        """Its transaction begins with its first statement: until then it keeps no other writer waiting."""
        self._check_owner()
        return self._writer

    async def _begin(self, stack: AsyncExitStack) -> None:
        await super()._begin(stack)
        # Both databases take a snapshot with the first read, and not when they are told to begin.
        await self._reader.execute(self.database.snapshot_statement)
        self._writer = await stack.enter_async_context(self.database.writer())


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return None
