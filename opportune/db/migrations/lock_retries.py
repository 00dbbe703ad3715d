"""Retries of migrations that wait for a table, so that other transactions do not queue behind them for long."""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from opportune.errors import OperatorError

Result = TypeVar("Result")

ATTEMPT_SECONDS: float = 2
"""Seconds that an attempt waits for a table. Other transactions on the table queue behind it."""
PAUSE_SECONDS: float = 2
"""Seconds between two attempts, in which queued transactions run."""
MAX_RETRY_SECONDS: float = 60
LOCK_ERRORS = {"55P03", "40P01"}
"""PostgreSQL's codes of lock timeouts and deadlocks."""


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
