"""Lock of migrations, and retries while other transactions use their tables."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from opportune.errors import OperatorError

MIGRATION_LOCK_TIMEOUT_SECONDS: float = 60
"""Seconds to wait for another process that migrates."""
LOCK_POLL_SECONDS = 0.1
TABLE_LOCK_TIMEOUT_SECONDS = 10
"""Seconds that a migration waits for a table."""
ADVISORY_LOCK_ID = 0x6F70706F7274
"""Number of PostgreSQL's lock. It is arbitrary, but the same in all processes."""

ATTEMPT_SECONDS: float = 2
"""Seconds that an attempt waits for a table."""
PAUSE_SECONDS: float = 2
"""Seconds between two attempts, in which queued transactions run."""
MAX_RETRY_SECONDS: float = 60
LOCK_ERRORS = {"55P03", "40P01"}
"""PostgreSQL's codes of lock timeouts and deadlocks."""

Result = TypeVar("Result")

LOCKED = "Another process is migrating this database. Wait until it ends, then run this again."


def acquire_migration_lock(connection: Connection) -> None:
    """Hold the migration lock until the transaction ends.

    On SQLite the write transaction itself is the lock. On PostgreSQL it is a lock of the transaction, because a pooler
    would keep a lock of the session.
    """
    if connection.dialect.name != "postgresql":
        return
    set_lock_timeout(connection, MIGRATION_LOCK_TIMEOUT_SECONDS)
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # a shorter one of the host would hide the reason
    try:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})
    except DBAPIError as error:
        if not is_locked(error):
            raise
        raise OperatorError(LOCKED) from error
    connection.execute(text("SET LOCAL statement_timeout TO DEFAULT"))
    set_lock_timeout(connection)


@contextmanager
def separate_migration_lock(connection: Connection) -> Iterator[None]:
    """Hold the migration lock on a second connection, for migrations of PostgreSQL that are not one transaction.

    Each attempt is a new transaction, because an index that another process builds concurrently waits for open ones.
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


def set_lock_timeout(connection: Connection, seconds: float = TABLE_LOCK_TIMEOUT_SECONDS) -> None:
    """Limit the time to wait for a table, because other transactions on the table queue behind this one."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{seconds}s'"))


def set_attempt_timeout(connection: Connection) -> None:
    """Limit the time that an attempt of `retry_while_locked` waits for a table."""
    set_lock_timeout(connection, ATTEMPT_SECONDS)


class TableLockedError(OperatorError):
    """Another transaction held a lock on a table for too long. The migration, or its last batch, was undone."""


def is_locked(error: Exception) -> bool:
    """Return whether the statement waited too long for a lock, or was chosen to resolve a deadlock."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in LOCK_ERRORS


def retry_while_locked(attempt: Callable[[], Result]) -> Result:
    """Repeat an attempt for about a minute while other transactions hold a lock on a table."""
    deadline = time.monotonic() + MAX_RETRY_SECONDS
    while True:
        try:
            return attempt()
        except TableLockedError:
            if time.monotonic() + PAUSE_SECONDS > deadline:
                raise
        time.sleep(PAUSE_SECONDS)
