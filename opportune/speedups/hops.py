"""Hops of the SQLite driver: all that a connection does for one statement in its thread."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


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
    rows: Sequence[Any] = ()
    description: Any = None
    lastrowid: Any = -1
    rowcount: int = -1
    arraysize: int = 1

    def close(self) -> None:
        """Do nothing: the rows have been read."""


class HopExecutor(sqlite3.Connection):
    """Connection that runs a whole `Hop` when aiosqlite's public `execute_fetchall` calls `execute` in its thread."""

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        if not isinstance(values, Hop):
            return super().execute(statement, values)
        try:
            return self._run_hop(statement, values)
        finally:
            values.is_finished = True

    def _run_hop(self, statement: str, hop: Hop) -> sqlite3.Cursor:
        if hop.begin_statement:
            super().execute(hop.begin_statement)
            hop.begin_statement = ""
        while hop.earlier:
            super().execute(*hop.earlier.pop(0))
        execute = super().executemany if hop.is_executemany else super().execute
        cursor = execute(statement, hop.values)
        if cursor.description:
            hop.description, hop.rows = cursor.description, cursor.fetchall()
        else:
            hop.lastrowid, hop.rowcount = cursor.lastrowid, cursor.rowcount
        return cursor


class ExecutorFactory:
    """Opens the connection in the driver's thread, also while the event loop's thread gives it up."""

    executor: HopExecutor | None = None
    _is_closed = False

    def __call__(self, *arguments: Any, **options: Any) -> HopExecutor:
        self.executor = HopExecutor(*arguments, **options)
        if self._is_closed:
            self.executor.close()
        return self.executor

    def close(self) -> None:
        """Close the connection that is open or about to be opened."""
        self._is_closed = True
        if self.executor:
            self.executor.close()
