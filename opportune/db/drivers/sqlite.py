"""SQLite on disk."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine.interfaces import AdaptedConnection, DBAPIConnection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util.concurrency import in_greenlet

from opportune.config.speedups import speedup
from opportune.db.database import Database
from opportune.db.drivers.pool import ENGINE_OPTIONS, close_once, pool_options
from opportune.db.drivers.sqlite_file import make_private
from opportune.db.errors import explain
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

BUSY_TIMEOUT_MS = 2000
"""Milliseconds to wait for a writer of another process."""
SETTINGS = f"""
    PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA recursive_triggers = ON;
"""
# recursive_triggers: REPLACE fires delete triggers, which update the search index.
QUERY_ONLY = "PRAGMA query_only = ON;"
FAILURE = "failure"
"""Key in a connection's `info` for the error after which SQLite has rolled back the open transaction."""


class ConnectionFactory:
    """Opens the connection in the driver's thread, also while the event loop's thread gives it up."""

    connection: sqlite3.Connection | None = None
    _is_closed = False

    def __init__(self, class_: type[sqlite3.Connection]) -> None:
        self._class = class_

    def __call__(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        self.connection = self._class(*arguments, **options)
        if self._is_closed:
            self.connection.close()
        return self.connection

    def close(self) -> None:
        """Close the connection that is open or about to be opened."""
        self._is_closed = True
        if self.connection:
            self.connection.close()


class ClosingDialect(SQLiteDialect_aiosqlite):
    """Dialect that closes a connection once, also if the request is cancelled while it opens or again while it closes.

    aiosqlite leaves a connection that opens after the cancellation to the garbage collector.
    """

    supports_statement_cache = True
    connection_class = sqlite3.Connection

    def connect(self, *arguments: Any, **options: Any) -> DBAPIConnection:
        factory = ConnectionFactory(self.connection_class)
        # The event loop's thread may also close the connection, and the faster driver uses it there.
        options |= {"factory": factory, "check_same_thread": False}
        try:
            return super().connect(*arguments, **options)
        except BaseException:  # also for a cancelled request
            factory.close()
            raise

    def do_terminate(self, dbapi_connection: Any) -> None:
        if in_greenlet():
            close_once(dbapi_connection.driver_connection.close())
        else:  # the garbage collector
            super().do_terminate(dbapi_connection)


registry.register("sqlite.closing", __name__, ClosingDialect.__name__)


class SQLiteDatabase(Database):
    """SQLite file in WAL mode with one writing connection and a pool of read-only connections."""

    snapshot_statement = text("SELECT 1 FROM sqlite_master LIMIT 1")

    def _create_writing_engine(self) -> AsyncEngine:
        # A pool of one queues the writers of this process in order, instead of polling for SQLite's lock.
        # It gets half of the timeout, because the writer then also waits for other processes (BUSY_TIMEOUT_MS).
        timeout = self.settings.database_pool_timeout / 2
        return self._create_engine(
            "BEGIN IMMEDIATE", configure_sqlite, pool_size=1, max_overflow=0, pool_timeout=timeout
        )

    def _create_reading_engine(self) -> AsyncEngine:
        return self._create_engine("BEGIN", configure_reader, **pool_options(self.settings))

    def _create_engine(self, begin: str, configure: Callable[..., None], **pool: Any) -> AsyncEngine:
        # isolation_level=None: otherwise the driver begins transactions itself, but never with BEGIN IMMEDIATE.
        engine = create_async_sqlite_engine(self.url, begin, connect_args={"isolation_level": None}, **pool)
        event.listen(engine.sync_engine, "connect", configure)
        return engine

    async def setup(self) -> None:
        await asyncio.to_thread(make_private, self.url.path)

    async def _probe(self, url: DatabaseUrl) -> None:
        try:
            await asyncio.to_thread(_run_query, url.path)
        except sqlite3.Error as error:
            raise OperatorError(explain(error, url)) from error


def _run_query(path: Path) -> None:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", timeout=1, uri=True)) as connection:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")


def create_async_sqlite_engine(url: DatabaseUrl, begin: str, **options: Any) -> AsyncEngine:
    """Return an engine whose transactions begin with a statement, with one hop to the driver's thread if possible."""
    if driver := speedup("sqlite_driver", "DRIVER", ""):
        return create_async_engine(url.url.set(drivername=driver), begin=begin, **ENGINE_OPTIONS, **options)
    engine = create_async_engine(url.url.set(drivername="sqlite+closing"), **ENGINE_OPTIONS, **options)
    _begin_with(begin, engine.sync_engine)
    return engine


def _begin_with(statement: str, engine: Engine) -> None:
    """Begin transactions with a statement, and refuse to continue those that SQLite has rolled back."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.info.pop(FAILURE, None)
        connection.exec_driver_sql(statement)

    @event.listens_for(engine, "handle_error")
    def record_failure(context: ExceptionContext) -> None:
        connection = context.connection
        error = context.sqlalchemy_exception
        if context.is_disconnect or not (error and connection and connection.in_transaction()):
            return
        if not _driver(connection).in_transaction:
            connection.info.setdefault(FAILURE, error)
        elif context.statement is None:  # a failed commit, after which the pool would return an open transaction
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False

    @event.listens_for(engine, "before_cursor_execute")
    @event.listens_for(engine, "commit")
    def refuse(connection: Connection, *_: object) -> None:
        if failure := connection.info.get(FAILURE):  # SQLite would commit the statement alone, without the earlier ones
            raise failure


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def configure_sqlite(connection: DBAPIConnection, _record: object = None) -> None:
    run_script(connection, SETTINGS)


def configure_reader(connection: DBAPIConnection, _record: object = None) -> None:
    """Configure a read-only connection to a SQLite file."""
    run_script(connection, SETTINGS + QUERY_ONLY)


def set_query_only(connection: DBAPIConnection, _record: object) -> None:
    run_script(connection, QUERY_ONLY)


def run_script(connection: DBAPIConnection, script: str) -> None:
    """Run all settings of a connection, with one hop to the driver's thread.

    SQLite itself does not wait while another process creates the WAL.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            if isinstance(connection, AdaptedConnection):
                connection.run_async(lambda driver: driver.executescript(script))
            else:
                cast("sqlite3.Connection", connection).executescript(script)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)
