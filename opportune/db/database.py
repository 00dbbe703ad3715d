"""Abstract database with its sessions and contexts. The application creates it; importing connects to nothing."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

from sqlalchemy import Engine, Executable, TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.util import greenlet_spawn

from opportune.config.settings import Settings
from opportune.config.speedups import speedup
from opportune.db.bus import Bus
from opportune.db.bus.factory import open_bus
from opportune.db.drivers.pool import dispose
from opportune.db.drivers.replica import Replicas, reads_fresh, record_write
from opportune.db.errors import explain
from opportune.db.listeners import listening
from opportune.db.sessions.missing_awaits import refuse_missing_awaits
from opportune.db.sessions.session import (
    Rows,
    Session,
    before_commit,
    on_commit,
    read_sessionmaker,
    run_failure_callbacks,
)
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.services.tasks import run_with_timeout

Role = Literal["writer", "reader"]


class Database(ABC):
    """Creates sessions: `writer()` commits at the end of its block, `reader()` cannot write."""

    ping_timeout_seconds: ClassVar[float] = 4
    snapshot_statement: ClassVar[TextClause] = text("SELECT 1")
    """Cheapest statement that makes a reader take its snapshot."""

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.info: dict[str, Any] = {"settings": settings}
        """`info` of every writing session, for callbacks after the commit."""
        self.reading_info: dict[str, Any] = {}
        """`info` of every reading session."""
        self.on_write: Callable[[], None] = lambda: None
        """Called when a writing session has committed."""
        # Order: replicas and the bus of a subclass use the engines and the attributes above.
        self.engine = self._create_writing_engine()
        self.reading_engine = self._create_reading_engine()
        self.replicas = self._create_replicas()
        self.bus = self._create_bus()
        self._writer_sessions = async_sessionmaker(self.engine, class_=Session, expire_on_commit=False, info=self.info)
        self._reader_sessions = read_sessionmaker(self.reading_engine, self.reading_info)
        self._reader_sessions.configure(autocommit_fetch=self.lookup_all)

    @abstractmethod
    def _create_writing_engine(self) -> AsyncEngine: ...

    @abstractmethod
    def _create_reading_engine(self) -> AsyncEngine: ...

    def _create_replicas(self) -> Replicas:
        return Replicas()

    def _create_bus(self) -> Bus:
        return open_bus(self.settings)

    async def setup(self) -> None:
        """Prepare the database for its first session."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.dispose()

    async def dispose(self) -> None:
        await self.bus.close()
        await self.replicas.dispose()
        for engine in (self.reading_engine, self.engine):
            await dispose(engine)

    @asynccontextmanager
    async def writer(self, *, is_change: bool = True) -> AsyncIterator[AsyncSession]:
        """Open a session that commits when the block ends and rolls back when it raises.

        Args:
            is_change: Whether the form of the request counts as processed after the commit. False for counts and logs.
        """
        session = self._writer_sessions()
        try:
            async with session:
                with refuse_missing_awaits():
                    yield session
                if session.in_transaction():
                    record_write()
                    if is_change and (callback := on_commit.get()):
                        before_commit(session, partial(callback, session))  # after the hooks, which may open a session
                await session.commit()
        except BaseException as error:
            await run_failure_callbacks(session, error)
            raise
        self.on_write()

    def reader(self, *, fresh: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a read-only session on one snapshot.

        Args:
            fresh: Read from the primary instead of a replica, which lags behind. For permissions and state shared
                between processes.
        """
        if fresh or not self.replicas.usable or reads_fresh.get():
            return self._reader_sessions()
        return self.replicas.reader(fallback=self._reader_sessions)

    async def lookup(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the row of a Core statement, from the primary. None if there is no row. See `lookup_all`."""
        rows = await self.lookup_all(statement, parameters)
        return rows[0] if rows else None

    async def lookup_all(self, statement: Executable, parameters: Mapping[str, Any]) -> Rows:
        """Return the rows of a Core statement that runs on every request, from the primary.

        It costs less than a session with a transaction. Build the statement once, at module level.
        """
        fetch: Any = speedup("statements", "fetch", None)
        if fetch:
            rows: Rows | None = await fetch(self.reading_engine.sync_engine, statement, parameters)
            if rows is not None:
                return rows
        return await greenlet_spawn(self._fetch_with_public_api, statement, parameters)

    def _fetch_with_public_api(self, statement: Executable, values: Mapping[str, Any]) -> Rows:
        # A single greenlet. An async connection takes three, and a task to close it.
        with self._autocommit_engine.sync_engine.connect() as connection:
            return connection.execute(statement, values).all()

    @property
    def sync_engines(self) -> list[Engine]:
        """The engines of the primary and the replicas, for event listeners."""
        engines = [self.engine, self.reading_engine, *(replica.engine for replica in self.replicas.members)]
        return [engine.sync_engine for engine in engines]

    @contextmanager
    def listened_to_by(self, listeners: Mapping[str, Callable[..., None]]) -> Iterator[None]:
        """Call the listeners for events of all engines, such as `before_cursor_execute`, until the block ends."""
        with ExitStack() as stack:
            for engine in self.sync_engines:
                stack.enter_context(listening(engine, **listeners))
            yield

    @property
    def _autocommit_engine(self) -> AsyncEngine:
        """Variant of `reading_engine` for single statements, which need no snapshot and thus no BEGIN."""
        return self.reading_engine

    def context(self) -> "Context":
        """Return a reader and a writer together. `ReadonlyContext(database)` only reads."""
        return Context(self)

    async def ping(self, *, reader: bool = True) -> None:
        """Check that the primary and the replicas respond. Takes no lock.

        Args:
            reader: Also check the replicas. The site works without it.

        Raises:
            OperatorError: One of them does not respond. The message says what to do.
        """
        failures = await self.failures(self.ping_timeout_seconds)
        if lines := [line for role, line in failures.items() if reader or role == "writer"]:
            raise OperatorError(" ".join(lines))

    async def failures(self, timeout_seconds: float) -> dict[Role, str]:
        """Return an explanation for each role whose server does not respond in time.

        The check opens new connections, because those of a busy site's pool may all be in use.
        """
        urls = [self.url, *(replica.url for replica in self.replicas.members)]
        writer, *readers = await asyncio.gather(*(self._explain_failure(url, timeout_seconds) for url in urls))
        failures: dict[Role, str] = {"writer": writer, "reader": " ".join(filter(None, readers))}
        return {role: line for role, line in failures.items() if line}

    async def _explain_failure(self, url: DatabaseUrl, timeout_seconds: float) -> str:
        try:
            await run_with_timeout(timeout_seconds, self._probe(url))
        except OperatorError as error:
            return str(error)
        except TimeoutError as error:
            return explain(error, url)
        return ""

    @abstractmethod
    async def _probe(self, url: DatabaseUrl) -> None:
        """Open a new connection and run a query."""


class ReadonlyContext:
    """Reader on one snapshot. Only the task that opened it may use it.

    A subclass may take more parameters in `__call__`, which sets them and returns the context:
    `Search(database)(q="milk")`.
    """

    _reader: AsyncSession

    def __init__(self, database: Database) -> None:
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
            stack.callback(setattr, self, "_owner", None)
            await self._open_sessions(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(type_, error, trace)

    async def _open_sessions(self, stack: AsyncExitStack) -> None:
        self._reader = await stack.enter_async_context(self.database.reader())

    def _check_owner(self) -> None:
        if self._owner is None:
            raise RuntimeError("This context is not open. Use its sessions inside its `async with` block.")
        try:
            task = asyncio.current_task()
        except RuntimeError:  # in a thread without a loop
            task = None
        if self._owner is not task:
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
