"""The database behind one abstract class, made when the application starts and never at import."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Literal

from sqlalchemy import Executable, TextClause, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.util import greenlet_spawn

from opportune.config.settings import Settings
from opportune.config.speedups import speedup
from opportune.db.drivers.pool import dispose
from opportune.db.drivers.replica import Replica, reads_fresh
from opportune.db.errors import explain
from opportune.db.queries.dependent_statement import Following
from opportune.db.sessions.context import Context
from opportune.db.sessions.hooked_session import (
    WRITES,
    HookedSession,
    forget_writes,
    is_for_hooks,
    is_watched,
    is_within,
    refuse_commit_in_hook,
    run_after_hooks,
)
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.runtime.timeouts import run_with_timeout

Role = Literal["writer", "reader"]
Rows = Sequence[Sequence[Any]]
Fetch = Callable[[Executable, Mapping[str, Any]], Awaitable[Rows]]
Write = Callable[[Executable, Mapping[str, Any], Sequence[Following]], Awaitable[Rows | None]]


BEFORE_COMMIT = "before_commit"
AFTER_COMMIT = "after_commit"


class Session(AsyncSession):
    """Runs the hooks of rows, and the callbacks of `before_commit` and `after_commit`."""

    sync_session_class = HookedSession

    def __init__(self, *, fetch_alone: Fetch | None = None, write_alone: Write | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._fetch_alone, self._write_alone = fetch_alone, write_alone

    async def fetch(self, statement: Executable, values: Mapping[str, Any]) -> Rows:
        """The rows of one statement, without objects for them, which is most of what takes time.

        Where nothing has begun, it is a transaction of its own.
        """
        if self._fetch_alone is None or self.in_transaction():
            return await self.run_sync(_fetch_within, statement, values)
        return await self._fetch_alone(statement, values)

    async def write_alone(
        self, statement: Executable, values: Mapping[str, Any], following: Sequence[Following] = ()
    ) -> Rows | None:
        """Return the rows that a statement has written. It is committed, with the statements that follow from it.

        None before anything is done where it is part of more, or cannot be told from it.
        """
        if self._write_alone is None or self.in_transaction() or self._has_callbacks or is_watched():
            return None
        return await self._write_alone(statement, values, following)

    @property
    def _has_callbacks(self) -> bool:
        return any(key in self.info for key in (BEFORE_COMMIT, AFTER_COMMIT, WRITES))

    async def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Write what has changed, with the hooks of opportune.db.hooks."""
        await super().flush(objects)
        await run_after_hooks(self, super().flush)

    async def commit(self) -> None:
        refuse_commit_in_hook(self)
        while True:
            if is_for_hooks(self):
                await self.flush()
            if not (acts := self.info.pop(BEFORE_COMMIT, ())):
                break
            for act, _ in acts:
                await act()
        await super().commit()
        for act, _ in self.info.pop(AFTER_COMMIT, ()):
            await act()

    async def rollback(self) -> None:
        for waiting in (BEFORE_COMMIT, AFTER_COMMIT, WRITES):
            self.info.pop(waiting, None)
        await super().rollback()

    async def __aexit__(self, kind: Any, value: Any, traceback: Any) -> None:
        """Without a task where nothing has gone wrong: it is there to close in spite of a cancelled request."""
        if kind is not None:
            await super().__aexit__(kind, value, traceback)
        elif self.sync_session.in_transaction():
            await self.close()
        else:  # nothing to end, so nothing to wait for
            self.sync_session.close()


def _fetch_within(session: SyncSession, statement: Executable, values: Mapping[str, Any]) -> Rows:
    if session.autoflush and (session.new or session.dirty or session.deleted):
        session.flush()
    return session.connection().execute(statement, values).all()


def before_commit(session: AsyncSession, act: Callable[[], Awaitable[None]]) -> None:
    """Have this done as the last part of the transaction; a rollback, of the savepoint too, forgets it."""
    _wait_for(session, BEFORE_COMMIT, act)


def after_commit(session: AsyncSession, act: Callable[[], Awaitable[None]]) -> None:
    """Have this done when the session has committed, before the response is sent; a rollback forgets it."""
    _wait_for(session, AFTER_COMMIT, act)


def _wait_for(session: AsyncSession, moment: str, act: Callable[[], Awaitable[None]]) -> None:
    session.info.setdefault(moment, []).append((act, session.sync_session.get_nested_transaction()))


@event.listens_for(HookedSession, "after_soft_rollback")
def _forget_savepoint(session: SyncSession, undone: SessionTransaction) -> None:
    """A savepoint takes along what was to be done for what was written in it."""
    if undone.nested:
        forget_writes(session, undone)
        for moment in (BEFORE_COMMIT, AFTER_COMMIT):
            if waiting := session.info.pop(moment, ()):
                session.info[moment] = [entry for entry in waiting if not is_within(entry[1], undone)]


def read_sessionmaker(engine: AsyncEngine, info: dict[str, Any]) -> async_sessionmaker[Session]:
    return async_sessionmaker(engine, class_=Session, expire_on_commit=False, autoflush=False, info=info)


async def _run_alone(function: str, engine: AsyncEngine, *arguments: Any) -> Rows | None:
    run: Any = speedup("opportune.db.drivers.statement_adapter", function, None)
    rows: Rows | None = await run(engine.sync_engine, *arguments) if run else None
    return rows


class Database(ABC):
    """Gives sessions: `writer()` commits when its block ends well, `reader()` cannot write."""

    ping_timeout_seconds: ClassVar[float] = 4
    snapshot_statement: ClassVar[TextClause] = text("SELECT 1")
    """The least that makes a reader take its snapshot."""

    def __init__(self, url: DatabaseURL, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.reading_info: dict[str, Any] = {}
        """What every session that reads carries in its own `info`."""
        self.engine = self._writing_engine()
        self.reading_engine = self._reading_engine()
        self.replica = self._replica()
        self.info: dict[str, Any] = {"settings": settings}
        """What every writing session carries in its own `info`: what is done after its commit needs it."""
        self._writing = async_sessionmaker(self.engine, class_=Session, expire_on_commit=False, info=self.info)
        self._writing.configure(write_alone=self._write_alone)
        self.on_write: Callable[[], None] = lambda: None
        """Called when a writing session has committed."""
        self._reading = read_sessionmaker(self.reading_engine, self.reading_info)
        self._reading.configure(fetch_alone=self._fetch_alone)

    @abstractmethod
    def _writing_engine(self) -> AsyncEngine: ...

    @abstractmethod
    def _reading_engine(self) -> AsyncEngine: ...

    def _replica(self) -> Replica | None:
        return None

    async def setup(self) -> None:
        """Prepare what the first session needs."""

    async def dispose(self) -> None:
        if self.replica:
            await self.replica.dispose()
        for engine in (self.reading_engine, self.engine):
            await dispose(engine)

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are committed when the block ends, and rolled back when it raises."""
        async with self._writing() as session:
            yield session
            await session.commit()
        self.on_write()

    def reader(self, *, fresh: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """A session on one snapshot, which the database itself keeps from writing.

        Where there is a replica, it lags behind what was just written. `fresh` reads from the writer's server, for what
        must not be out of date: who may do what, and what another process has to know.
        """
        if self.replica is None or fresh or self.replica.is_away or reads_fresh.get():
            return self._reading()
        return self.replica.reader(otherwise=self._reading)

    async def lookup(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """The one row of a statement that comes with every request, read fresh: `None` if there is none.

        It costs a third of what a session and its transaction cost, so it is for Core and a statement made once.
        """
        rows = await self._fetch_alone(statement, parameters)
        return rows[0] if rows else None

    async def _fetch_alone(self, statement: Executable, values: Mapping[str, Any]) -> Rows:
        """One statement with the least around it."""
        rows = await _run_alone("fetch", self.reading_engine, statement, values)
        return await greenlet_spawn(self._fetch_publicly, statement, values) if rows is None else rows

    async def _write_alone(
        self, statement: Executable, values: Mapping[str, Any], following: Sequence[Following]
    ) -> Rows | None:
        if not self.engine.dialect.insert_returning:
            return None
        if following:
            return await _run_alone("write", self.engine, statement, values, following)
        return await _run_alone("fetch", self.engine, statement, values)

    def _fetch_publicly(self, statement: Executable, values: Mapping[str, Any]) -> Rows:
        """All of it in one greenlet: an asynchronous connection takes three, and a task to close it."""
        with self._autocommit_engine.sync_engine.connect() as connection:
            return connection.execute(statement, values).all()

    @property
    def _autocommit_engine(self) -> AsyncEngine:
        """What reads a single statement with the least around it."""
        return self.reading_engine

    def context(self) -> Context:
        """A reader and a writer together; `ReadonlyContext(database)` is the one that only reads."""
        return Context(self)

    async def ping(self, *, reader: bool = True) -> None:
        """Ask writer and reader for a sign of life, without taking a lock.

        Without the reader if the site, which can do without a replica, is all that matters.

        Raises:
            OperatorError: one of them does not answer; the message says what to do.
        """
        failures = await self.failures(self.ping_timeout_seconds)
        if lines := [line for role, line in failures.items() if reader or role == "writer"]:
            raise OperatorError(" ".join(lines))

    async def failures(self, seconds: float) -> dict[Role, str]:
        """Who gives no sign of life in this time, each with a line on why.

        They are asked on connections of their own: not those that a busy site waits for.
        """
        asked: dict[Role, DatabaseURL] = {"writer": self.url}
        if self.replica:
            asked["reader"] = self.replica.url
        lines = await asyncio.gather(*(self._fault(url, seconds) for url in asked.values()))
        return {role: line for role, line in zip(asked, lines, strict=True) if line}

    async def _fault(self, url: DatabaseURL, seconds: float) -> str:
        try:
            await run_with_timeout(seconds, self._probe(url))
        except OperatorError as error:
            return str(error)
        except TimeoutError as error:
            return explain(error, url)
        return ""

    @abstractmethod
    async def _probe(self, url: DatabaseURL) -> None:
        """Connect, ask for a row and be gone.

        Raises:
            OperatorError: that cannot be done.
        """
