"""The database behind one abstract class, made when the application starts and never at import."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.core.db.faults import explain
from app.core.db.file import make_private
from app.core.db.pool import TimedPool
from app.core.db.url import DatabaseURL
from app.core.db.waiting import within
from app.core.errors import OperatorError
from app.core.settings import Settings


class Database(ABC):
    """Gives sessions: `writer()` commits when its block ends well, `reader()` cannot write."""

    ping_timeout: ClassVar[float] = 4

    def __init__(self, url: DatabaseURL, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.engine = self._writing_engine()
        self.reading_engine = self._reading_engine()
        self._writing = async_sessionmaker(self.engine, expire_on_commit=False)
        self._reading = async_sessionmaker(self.reading_engine, expire_on_commit=False, autoflush=False)

    @abstractmethod
    def _writing_engine(self) -> AsyncEngine: ...

    @abstractmethod
    def _reading_engine(self) -> AsyncEngine: ...

    async def setup(self) -> None:  # noqa: B027 - not every kind has something to prepare
        """Prepare what the first session needs."""

    async def dispose(self) -> None:
        await self.reading_engine.dispose()
        await self.engine.dispose()

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are committed when the block ends, and rolled back when it raises."""
        async with self._writing() as session:
            yield session
            await session.commit()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncSession]:
        """A session on one snapshot, which the database itself keeps from writing."""
        async with self._reading() as session:
            yield session

    async def ping(self) -> None:
        """Ask writer and reader for a sign of life, without taking a lock.

        Raises:
            OperatorError: one of them does not answer; the message says what to do.
        """
        try:
            await within(self.ping_timeout, self._select_one())
        except (TimeoutError, DBAPIError, PoolTimeoutError) as error:
            raise OperatorError(explain(error, self.url)) from error

    async def _select_one(self) -> None:
        for engine in (self.engine, self.reading_engine):
            async with engine.connect() as connection:
                await connection.execution_options(sqlite_begin="BEGIN")
                await connection.execute(text("select 1"))


class SQLiteDatabase(Database):
    """A file in WAL mode: one connection that writes, a pool that cannot."""

    def _writing_engine(self) -> AsyncEngine:
        # A pool of one is the queue of writers: they wait here in their order, and not for SQLite's lock.
        return self._engine(begin="BEGIN IMMEDIATE", pool_size=1, max_overflow=0)

    def _reading_engine(self) -> AsyncEngine:
        settings = self.settings
        engine = self._engine(
            begin="BEGIN", pool_size=settings.database_pool_size, max_overflow=settings.database_max_overflow
        )
        event.listen(engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
        return engine

    def _engine(self, begin: str, **pool: int) -> AsyncEngine:
        engine = create_async_engine(
            self.url.url,
            # Without this the driver begins transactions by its own rules, and never with IMMEDIATE.
            connect_args={"isolation_level": None},
            execution_options={"sqlite_begin": begin},
            pool_timeout=self.settings.database_pool_timeout,
            hide_parameters=True,
            **pool,
        )
        event.listen(engine.sync_engine, "connect", configure_sqlite)
        event.listen(engine.sync_engine, "begin", begin_sqlite)
        return engine

    async def setup(self) -> None:
        await asyncio.to_thread(make_private, self.url.path)


def configure_sqlite(connection: DBAPIConnection, _record: object = None) -> None:
    """What every connection to a SQLite file needs; for migrations too."""
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["sqlite_begin"])


class PostgreSQLDatabase(Database):
    """psycopg 3: READ COMMITTED to write, one read-only snapshot to read."""

    def _writing_engine(self) -> AsyncEngine:
        return self._engine(isolation_level="READ COMMITTED")

    def _reading_engine(self) -> AsyncEngine:
        engine = self._engine(isolation_level="REPEATABLE READ")
        event.listen(engine.sync_engine, "connect", _only_read)
        return engine

    def _engine(self, **options: Any) -> AsyncEngine:
        return create_async_engine(
            self.url.url,
            connect_args=postgresql_arguments(self.url, self.settings),
            poolclass=TimedPool,
            pool_size=self.settings.database_pool_size,
            max_overflow=self.settings.database_max_overflow,
            pool_timeout=self.settings.database_pool_timeout,
            pool_pre_ping=True,
            pool_recycle=280,  # hosts drop idle connections after five minutes
            hide_parameters=True,
            **options,
        )


def postgresql_arguments(url: DatabaseURL, settings: Settings) -> dict[str, Any]:
    """libpq's and psycopg's arguments for one connection; those in the URL win."""
    arguments: dict[str, Any] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 5000,
        "keepalives_idle": 30,
        "application_name": "opportune",
    }
    arguments = {name: value for name, value in arguments.items() if name not in url.url.query}
    if settings.database_pooled != "false":
        # A pooler gives each transaction another server connection, where our statement is not, or is not ours.
        arguments["prepare_threshold"] = None
    return arguments


def _only_read(connection: Any, _record: object) -> None:
    connection.set_read_only(True)
    connection.set_deferrable(True)


def open_database(settings: Settings) -> Database:
    """The database of these settings, not connected yet.

    Raises:
        OperatorError: DATABASE_URL is not understood.
    """
    url = DatabaseURL.parse(settings.database_url.get_secret_value())
    return SQLiteDatabase(url, settings) if url.kind == "sqlite" else PostgreSQLDatabase(url, settings)
