"""Hops of the SQLite driver: all that a connection does for one statement in its thread."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

MAX_STEPS = 10_000
"""Steps of SQLite's virtual machine, about 0.3 ms. A SELECT that does not hop ends after at most twice as many."""


@dataclass(slots=True, eq=False)
class Hop:
    """Input and result of one hop to the driver's thread. SQLAlchemy reads the result from it like from a cursor."""

    values: Any
    is_executemany: bool = False
    begin_statement: str = ""
    """Runs before the statement. Empty once it has run, or if a transaction is open."""
    earlier: list[tuple[str, Any]] = field(default_factory=list)
    """Deferred statements with their values, which run before the statement."""
    is_finished: bool = False
    processor_seconds: float = 0
    """Processor time in the driver's thread."""
    rows: Sequence[Any] = ()
    description: Any = None
    lastrowid: Any = -1
    rowcount: int = -1
    arraysize: int = 1

    def close(self) -> None:
        """Do nothing: the rows have been read."""


class HopExecutor(sqlite3.Connection):
    """Connection that runs a whole `Hop` when aiosqlite's public `execute_fetchall` calls `execute` in its thread."""

    _has_handler = False

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        if not isinstance(values, Hop):
            return super().execute(statement, values)
        started_at = time.thread_time()
        try:
            return self._run_hop(statement, values)
        finally:
            values.processor_seconds = time.thread_time() - started_at
            values.is_finished = True

    def set_progress_handler(self, handler: Any, steps: int, /) -> None:
        """Let a handler end long statements. As long as there is one, all statements need a hop."""
        self._has_handler = handler is not None
        super().set_progress_handler(handler, steps)

    def run_at_once(self, statement: str, hop: Hop) -> bool:
        """Run a statement in the calling thread. Return False if it would wait for a lock or is too long.

        Raises:
            sqlite3.Error: The statement failed.
        """
        if self._has_handler:
            return False
        is_read = statement.startswith("SELECT")
        # Later statements of a transaction have their lock, and a write-ahead log needs none to read.
        is_free = self.in_transaction or (is_read and self._has_wal and hop.begin_statement in {"", "BEGIN"})
        restore_timeout = "" if is_free else self._restore_timeout
        if restore_timeout:
            super().execute("PRAGMA busy_timeout = 0")  # the hop waits instead
        if is_read:  # to end an INSERT in the middle would roll back its transaction
            # SQLite's steps count on from the last run, so that the first call may come at once. It returns 0: go on.
            super().set_progress_handler(count().__next__, MAX_STEPS)
        try:
            self._run_hop(statement, hop)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY}:
                raise
            return False
        finally:
            super().set_progress_handler(None, 0)
            if restore_timeout:
                super().execute(restore_timeout)
        hop.is_finished = True
        return True

    @cached_property
    def _restore_timeout(self) -> str:
        """Statement that sets the timeout of locks. The connection has been configured before it is asked."""
        return f"PRAGMA busy_timeout = {super().execute('PRAGMA busy_timeout').fetchone()[0]}"

    @cached_property
    def _has_wal(self) -> bool:
        """Whether the file has a write-ahead log, which it keeps as long as it is open."""
        return bool(super().execute("PRAGMA journal_mode").fetchone() == ("wal",))

    def _run_hop(self, statement: str, hop: Hop) -> sqlite3.Cursor:
        if hop.begin_statement:
            super().execute(hop.begin_statement)
            hop.begin_statement = ""
        while hop.earlier:
            super().execute(*hop.earlier.pop(0))
        execute = super().executemany if hop.is_executemany else super().execute
        cursor = execute(statement, hop.values)
        if cursor.description:
            hop.description = cursor.description
            hop.rows = cursor.fetchall()
        else:
            hop.lastrowid, hop.rowcount = cursor.lastrowid, cursor.rowcount
        return cursor
