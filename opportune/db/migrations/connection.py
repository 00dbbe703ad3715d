"""Synchronous connection for migrations, their lock, and retries while other transactions use their tables.

It is synchronous, so that migrations run in commands and inside a running event loop.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from opportune.config.settings import Settings
from opportune.db.drivers.sqlite import SETTINGS
from opportune.db.drivers.sqlite_file import discard_unused, make_private
from opportune.db.drivers.sync_engines import create_postgresql_engine, create_sqlite_engine
from opportune.db.errors import explain
from opportune.db.migrations.reflection import with_complete_reflection
from opportune.db.models.native_type import recognize_all_types
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError, ReadOnlyError

MIGRATION_LOCK_TIMEOUT_SECONDS: float = 60
"""Seconds to wait for another process that migrates."""
LOCK_POLL_SECONDS = 0.1
TABLE_LOCK_TIMEOUT_SECONDS = 10
"""Seconds that a migration waits for a table. Meanwhile other transactions queue behind it."""
ADVISORY_LOCK_ID = 0x6F70706F7274
"""Number of PostgreSQL's lock. It is arbitrary, but the same in all processes."""

ATTEMPT_SECONDS: float = 2
"""Seconds that an attempt waits for a table. Other transactions on the table queue behind it."""
PAUSE_SECONDS: float = 2
"""Seconds between two attempts, in which queued transactions run."""
MAX_RETRY_SECONDS: float = 60
LOCK_ERRORS = {"55P03", "40P01"}
"""PostgreSQL's codes of lock timeouts and deadlocks."""

Result = TypeVar("Result")

LOCKED = "Another process is migrating this database. Wait until it ends, then run this again."


@contextmanager
def connect(settings: Settings) -> Iterator[Connection]:
    """Connect to the configured database. After an error, a new empty SQLite file is removed.

    Raises:
        OperatorError: The database cannot be reached.
    """
    url = direct_url(settings)
    if url.readonly_notice:
        raise ReadOnlyError(url.readonly_notice)
    engine = create_postgresql_engine(url) if url.kind == "postgresql" else _create_sqlite_engine(url.sync_url)
    is_new = url.kind != "postgresql" and not url.path.exists()
    try:
        with _open(engine, url) as connection, _explain_errors(url):
            recognize_all_types(connection)
            yield connection
    except OperatorError:
        if is_new:
            discard_unused(url.path)
        raise


@contextmanager
def _explain_errors(url: DatabaseUrl) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:  # errors of a migration itself are handled by the runner
        raise OperatorError(explain(error, url)) from error


def _open(engine: Engine, url: DatabaseUrl) -> Connection:
    try:
        if url.kind != "postgresql":
            make_private(url.path)
        return engine.connect()
    except (DBAPIError, sqlite3.Error) as error:
        raise OperatorError(explain(error, url)) from error


@contextmanager
def in_memory_connection() -> Iterator[Connection]:
    """Connect to a new SQLite database in memory."""
    with _create_sqlite_engine(URL.create("sqlite")).connect() as connection:
        yield connection


def _create_sqlite_engine(url: URL) -> Engine:
    """Create an engine without foreign keys: Alembic copies a table to change it, and drops the old one."""
    return create_sqlite_engine(with_complete_reflection(url), settings=unchecked_settings())


def unchecked_settings() -> str:
    """Return settings of a SQLite connection that enforces no foreign keys, and waits for other migrations."""
    timeout_ms = f"{MIGRATION_LOCK_TIMEOUT_SECONDS * 1000:.0f}"
    return f"{SETTINGS} PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = {timeout_ms};"


def acquire_migration_lock(connection: Connection) -> None:
    """Hold the migration lock until the transaction ends.

    On SQLite the write transaction itself is the lock. On PostgreSQL it is a lock of the transaction, because a pooler
    would keep a lock of the session.

    Raises:
        OperatorError: Another process holds the lock for too long.
    """
    if connection.dialect.name != "postgresql":
        return
    _set_lock_timeout(connection, MIGRATION_LOCK_TIMEOUT_SECONDS)
    try:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})
    except OperationalError as error:
        raise OperatorError(LOCKED) from error
    set_table_lock_timeout(connection)


@contextmanager
def separate_migration_lock(connection: Connection) -> Iterator[None]:
    """Hold PostgreSQL's migration lock on a second connection, for migrations that are not one transaction.

    Each attempt is a new transaction, because an index that another process builds concurrently waits for open ones.

    Raises:
        OperatorError: Another process holds the lock for too long.
    """
    deadline = time.monotonic() + MIGRATION_LOCK_TIMEOUT_SECONDS
    with connection.engine.connect() as lock_connection:
        while not lock_connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID}):
            lock_connection.rollback()
            if time.monotonic() > deadline:
                raise OperatorError(LOCKED)
            time.sleep(LOCK_POLL_SECONDS)
        lock_connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield


def set_table_lock_timeout(connection: Connection, seconds: float = TABLE_LOCK_TIMEOUT_SECONDS) -> None:
    """Limit the time to wait for a table, because other transactions queue behind this one."""
    if connection.dialect.name == "postgresql":
        _set_lock_timeout(connection, seconds)


def set_attempt_timeout(connection: Connection) -> None:
    """Limit the time that an attempt of `retry_while_locked` waits for a table."""
    set_table_lock_timeout(connection, ATTEMPT_SECONDS)


def _set_lock_timeout(connection: Connection, seconds: float) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{seconds}s'"))


class TableLockedError(OperatorError):
    """Another transaction held a lock on a table for too long. The migration, or its last batch, was undone."""


def is_locked(error: Exception) -> bool:
    """Return whether the statement waited too long for a lock, or was chosen to resolve a deadlock."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in LOCK_ERRORS


def retry_while_locked(attempt: Callable[[], Result]) -> Result:
    """Repeat an attempt for about a minute while other transactions hold a lock on a table.

    Raises:
        TableLockedError: The table is still locked.
    """
    deadline = time.monotonic() + MAX_RETRY_SECONDS
    while True:
        try:
            return attempt()
        except TableLockedError:
            if time.monotonic() + PAUSE_SECONDS > deadline:
                raise
        time.sleep(PAUSE_SECONDS)
