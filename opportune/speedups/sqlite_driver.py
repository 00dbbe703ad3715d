"""SQLite driver with one hop to its thread per statement. `oppman.py docs speedups` has its figures and their command.

SQLAlchemy's adapter of aiosqlite makes four hops (cursor, execute, fetchall, close), one more to begin and one to end a
transaction. Each hop wakes two threads, which costs more than the work of SQLite.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import aiosqlite
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_cursor
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.util.concurrency import await_, in_greenlet

from opportune.db.drivers.pool import DEFERRED
from opportune.speedups import require

require(AsyncAdapt_aiosqlite_connection, "_handle_exception", "_terminate_force_close", "_terminate_graceful_close")
require(AsyncAdapt_aiosqlite_cursor, "_aenter_cursor", "_awaitable_cursor_close", "_make_new_cursor")

DRIVER = "sqlite+fused"
"""Driver name of `SingleHopDialect` in the URL of an engine."""


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
        cursor = (super().executemany if hop.is_executemany else super().execute)(statement, hop.values)
        if cursor.description:
            hop.description, hop.rows = cursor.description, cursor.fetchall()
        else:
            hop.lastrowid, hop.rowcount = cursor.lastrowid, cursor.rowcount
        return cursor


class SingleHopCursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()

    _adapt_connection: "SingleHopConnection"
    _awaitable_cursor_close = False

    def _make_new_cursor(self, connection: Any) -> Any:
        return Hop(())

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    def execute(self, operation: Any, parameters: Any = None) -> None:
        self._send(operation, Hop(() if parameters is None else parameters))

    def defer(self, operation: Any, parameters: Any) -> None:
        self._adapt_connection.deferred.append((operation, parameters))

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        self._send(operation, Hop(seq_of_parameters, is_executemany=True))

    def _send(self, operation: str, hop: Hop) -> None:
        try:
            self._adapt_connection.send(operation, hop)
        except Exception as error:  # noqa: BLE001 - as in the replaced method
            self._adapt_connection._handle_exception(error)
        self._rows, self._cursor = deque(hop.rows), cast("Any", hop)


class SingleHopConnection(AsyncAdapt_aiosqlite_connection):
    """Connection that sends BEGIN with the first statement, deferred statements with the next one or COMMIT, and ends
    read transactions without a hop.
    """

    __slots__ = ("_in_transaction", "_is_read_only", "_last_hop", "_pending_begin", "_sqlite", "_streams", "deferred")

    def __init__(self, dbapi: Any, connection: Any, executor: HopExecutor) -> None:
        super().__init__(dbapi, connection)
        self._sqlite = executor
        self._pending_begin = ""
        self.deferred: list[tuple[str, Any]] = []
        """Statements with their values, which run with the next statement."""
        self._in_transaction = self._is_read_only = False
        self._last_hop = Hop((), is_finished=True)
        self._streams: list[AsyncAdapt_dbapi_cursor] = []

    def create_function(self, *arguments: Any, **options: Any) -> None:
        # Without a hop: this only changes memory, and SQLAlchemy creates two functions per connection.
        self._sqlite.create_function(*arguments, **options)

    def begin(self, statement: str) -> None:
        """Begin a transaction with the next statement."""
        self._pending_begin = statement

    def send(self, statement: str, hop: Hop) -> None:
        if self._pending_begin:
            hop.begin_statement, self._pending_begin = self._pending_begin, ""
            self._is_read_only, self._in_transaction = hop.begin_statement == "BEGIN", True
        hop.earlier, self.deferred = self.deferred, []
        self._last_hop = hop
        try:
            await_(self._connection.execute_fetchall(statement, hop))
        except sqlite3.Error:
            # If BEGIN failed, the next statement must send it.
            self._pending_begin, self.deferred = hop.begin_statement, hop.earlier
            raise

    def cursor(self, server_side: bool = False) -> AsyncAdapt_dbapi_cursor:
        if not server_side:
            return SingleHopCursor(self)
        if self._pending_begin or self.deferred:  # a streaming cursor does not use `send`
            self.send("SELECT 1", Hop(()))
        self._streams.append(super().cursor(server_side))
        return self._streams[-1]

    def commit(self) -> None:
        if not self.deferred and not self._discard_pending_begin():
            return
        try:
            if self.deferred:
                SingleHopCursor(self).execute("COMMIT")
            else:
                super().commit()
        except sqlite3.Error:
            self.rollback()  # SQLAlchemy treats a failed commit as the end; the pool would return an open transaction
            raise
        self._in_transaction = False

    def rollback(self) -> None:
        while self._streams:  # a cursor with unread rows would keep its snapshot
            self._streams.pop().close()
        self.deferred = []
        if not self._discard_pending_begin():
            return
        if not self._last_hop.is_finished:  # left running by a cancelled request
            self._sqlite.interrupt()
        if self._last_hop.is_finished and self._is_read_only:  # needs no hop: it only releases a lock in memory
            self._sqlite.rollback()
        else:
            super().rollback()
        self._in_transaction = False  # not earlier: if the rollback fails, the pool must still end the transaction

    def terminate(self) -> None:
        with suppress(asyncio.CancelledError):  # a second cancellation; the close continues
            super().terminate()

    def _terminate_force_close(self) -> None:
        if not in_greenlet():  # inside a greenlet a close is already running, and this would prevent its rollback
            super()._terminate_force_close()

    async def _terminate_graceful_close(self) -> None:
        closing = asyncio.ensure_future(super()._terminate_graceful_close())
        while not closing.done():  # the statement of a cancelled request may not have started yet
            with suppress(sqlite3.ProgrammingError):  # already closed
                self._sqlite.interrupt()
            await asyncio.wait({closing}, timeout=0.01)
        closing.result()

    def _discard_pending_begin(self) -> bool:
        """Discard a BEGIN that was never sent, and return whether a transaction is open."""
        self._pending_begin = ""
        return self._in_transaction


class SingleHopDriver(AsyncAdapt_aiosqlite_dbapi):
    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arguments: Any, **options: Any) -> SingleHopConnection:
        executors: list[HopExecutor] = []
        is_cancelled = False

        def connect(*arguments: Any, **options: Any) -> HopExecutor:
            executors.append(HopExecutor(*arguments, **options))
            if is_cancelled:
                executors[0].close()
            return executors[0]

        # The event loop's thread also ends transactions and interrupts statements, which SQLite allows.
        options |= {"factory": connect, "check_same_thread": False}
        connection = aiosqlite.connect(*arguments, **options)
        vars(connection)["_thread"].daemon = True  # as in the replaced method
        try:
            await_(connection)
        except BaseException:  # a cancelled request: close what its thread has opened or is about to open
            is_cancelled = True
            for executor in executors:
                executor.close()
            raise
        return SingleHopConnection(self, connection, executors[0])


class SingleHopDialect(SQLiteDialect_aiosqlite):
    """SQLite dialect. Its argument `begin` in `create_async_engine` is the statement that begins a transaction."""

    driver = "fused"
    supports_statement_cache = True

    def __init__(self, begin: str = "BEGIN", **options: Any) -> None:
        super().__init__(**options)
        self.begin = begin

    @classmethod
    def import_dbapi(cls) -> SingleHopDriver:
        return SingleHopDriver()

    def do_begin(self, dbapi_connection: Any) -> None:
        # Not an event listener: an engine with one checks for others before and after each statement.
        dbapi_connection.begin(self.begin)

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if context and context.execution_options.get(DEFERRED):
            cursor.defer(statement, parameters)
        else:
            cursor.execute(statement, parameters)


registry.register(DRIVER.replace("+", "."), __name__, SingleHopDialect.__name__)
