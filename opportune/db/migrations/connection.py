"""A plain connection for migrations: no event loop, so that they run in a shell and inside a running loop alike."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from opportune.config.settings import Settings
from opportune.db.drivers import sqlite
from opportune.db.drivers.sqlite_file import discard_unused, make_private
from opportune.db.drivers.sync_engines import postgresql_engine, sqlite_engine
from opportune.db.errors import explain
from opportune.db.models.native_type import recognize_all_types
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError, ReadOnlyError

MIGRATION_LOCK_TIMEOUT_SECONDS: float = 60  # seconds, while another process migrates
LOCK_POLL_SECONDS = 0.1
TABLE_LOCK_TIMEOUT_SECONDS = 10  # seconds; while a migration waits for a table, everybody else queues behind it
ADVISORY_LOCK_ID = 0x6F70706F7274  # any number will do, if it is the same in every process that migrates

LOCKED = "Another process is migrating this database: wait for it, then run this again."

# Where hosts put the address without the pooler: Railway, Neon on Vercel, and those that follow Prisma.
DIRECT_URL_VARIABLES = ("DATABASE_UNPOOLED_URL", "DATABASE_URL_UNPOOLED", "DIRECT_URL")


def migration_url(settings: Settings) -> DatabaseURL:
    """The database without its pooler, where settings or host name it.

    Raises:
        OperatorError: DATABASE_DIRECT_URL or DATABASE_URL is not understood.
    """
    if direct := settings.database_direct_url.get_secret_value():
        return DatabaseURL.parse(direct, name="DATABASE_DIRECT_URL")
    url = DatabaseURL.parse(settings.database_url.get_secret_value(), settings.database_pooled)
    return _direct_url_of_host(url) or url


def _direct_url_of_host(url: DatabaseURL) -> DatabaseURL | None:
    """What the host's own variable names, if it is the same database: another project's may be set here as well."""
    for name in DIRECT_URL_VARIABLES:
        with suppress(OperatorError):  # whatever it is, it is not ours
            direct = DatabaseURL.parse(os.environ.get(name, ""), name=name)
            if url.url.password and (direct.database, direct.url.password) == (url.database, url.url.password):
                return direct
    return None


@contextmanager
def connect(settings: Settings) -> Iterator[Connection]:
    """A connection to the configured database. If it fails, a file that it has made and not filled is gone again.

    Raises:
        OperatorError: the database cannot be reached.
    """
    url = migration_url(settings)
    if url.written_never:
        raise ReadOnlyError(url.written_never)
    engine = postgresql_engine(url) if url.kind == "postgresql" else _sqlite_engine(url.sync_url)
    recognize_all_types(engine.dialect)
    is_new = url.kind != "postgresql" and not url.path.exists()
    try:
        with _opened(engine, url) as connection, _explained(url):
            yield connection
    except OperatorError:
        if is_new:
            discard_unused(url.path)
        raise


@contextmanager
def _explained(url: DatabaseURL) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:  # what fails in a migration itself does not come this far
        raise OperatorError(explain(error, url)) from error


def _opened(engine: Engine, url: DatabaseURL) -> Connection:
    try:
        if url.kind != "postgresql":
            make_private(url.path)
        return engine.connect()
    except (DBAPIError, sqlite3.Error) as error:
        raise OperatorError(explain(error, url)) from error


@contextmanager
def in_memory_connection() -> Iterator[Connection]:
    """A connection to an empty SQLite database in memory, which is gone afterwards."""
    with _sqlite_engine(URL.create("sqlite")).connect() as connection:
        yield connection


def acquire_migration_lock(connection: Connection) -> None:
    """Wait until no other process migrates, and keep others waiting until this transaction ends.

    With SQLite the transaction itself is the lock. With PostgreSQL it is not the session's: that would stay behind in a
    pooler.

    Raises:
        OperatorError: the other process takes too long.
    """
    if connection.dialect.name != "postgresql":
        return
    _wait_at_most(connection, MIGRATION_LOCK_TIMEOUT_SECONDS)
    try:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})
    except OperationalError as error:
        raise OperatorError(LOCKED) from error
    set_table_lock_timeout(connection)


@contextmanager
def migration_lock_beside(connection: Connection) -> Iterator[None]:
    """Hold PostgreSQL's lock on a connection of its own, while this one begins and ends transactions as it likes.

    It is asked for in one transaction after the other: an index that another process builds concurrently would wait for
    one that goes on.

    Raises:
        OperatorError: the other process takes too long.
    """
    until = time.monotonic() + MIGRATION_LOCK_TIMEOUT_SECONDS
    with connection.engine.connect() as keeper:
        while not keeper.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID}):
            keeper.rollback()
            if time.monotonic() > until:
                raise OperatorError(LOCKED)
            time.sleep(LOCK_POLL_SECONDS)
        keeper.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield


def set_table_lock_timeout(connection: Connection) -> None:
    """Wait for tables that others use, but not so long that everybody else waits behind this transaction."""
    if connection.dialect.name == "postgresql":
        _wait_at_most(connection, TABLE_LOCK_TIMEOUT_SECONDS)


def _wait_at_most(connection: Connection, seconds: float) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{seconds}s'"))


def _sqlite_engine(url: URL) -> Engine:

    # Without this the driver commits before a change of the schema, and a failing migration stays half done.
    engine = sqlite_engine(url, connect_args={"isolation_level": None})  # `run` makes it begin IMMEDIATE
    event.listen(engine, "connect", sqlite.configure_sqlite)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Most changes of a table are a copy of it under another name, which must not cascade to what points at it.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(f"PRAGMA busy_timeout = {MIGRATION_LOCK_TIMEOUT_SECONDS * 1000:.0f}")
