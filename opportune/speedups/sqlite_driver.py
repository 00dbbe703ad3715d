"""SQLite driver with at most one hop to its thread per statement. `oppman.py docs speedups` has its figures.

SQLAlchemy's adapter of aiosqlite makes four hops (cursor, execute, fetchall, close), one more to begin and one to end a
transaction. Each hop wakes two threads, which costs more than the work of SQLite.

Here BEGIN waits for the first statement, and both are sent in one hop. A transaction without a statement sends nothing.
Short statements run in the thread of the event loop. The rollback of a transaction that only reads needs no hop,
because it only releases a lock in memory.
"""

import asyncio
import sqlite3
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiosqlite
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_cursor
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util.concurrency import await_, in_greenlet

from opportune.db.drivers.pool import DEFERRED, close_once
from opportune.db.drivers.sqlite import ClosingDialect
from opportune.speedups import require
from opportune.speedups.hops import Hop, HopExecutor
from opportune.speedups.quick_statements import QuickStatements

require(AsyncAdapt_aiosqlite_connection, "_handle_exception", "_terminate_graceful_close")
require(AsyncAdapt_aiosqlite_cursor, "_aenter_cursor", "_awaitable_cursor_close", "_make_new_cursor")

DRIVER = "sqlite+fused"
"""Driver name of `SingleHopDialect` in the URL of an engine."""
BEGIN_READING = "BEGIN"
"""Statement that begins transactions which only read. Those that write begin with BEGIN IMMEDIATE."""
STATEMENTS_PER_TURN = 8
"""Statements of a connection after which other tasks of the event loop get their turn."""


class SingleHopCursor(AsyncAdapt_aiosqlite_cursor):
    """Cursor that needs no hop to open and close."""

    __slots__ = ()

    _adapt_connection: "SingleHopConnection"
    _awaitable_cursor_close = False
    _cursor: Any
    """The last `Hop`, from which SQLAlchemy reads `description` and `rowcount`, as from aiosqlite's cursor."""

    def _make_new_cursor(self, connection: Any) -> Any:
        return Hop(())

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    def execute(self, operation: Any, parameters: Any = None) -> None:
        self._send(operation, Hop(() if parameters is None else parameters))

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        self._send(operation, Hop(seq_of_parameters, is_executemany=True))

    def defer(self, operation: Any, parameters: Any) -> None:
        """Run a statement with the next one or the commit."""
        self._adapt_connection.transaction.deferred.append((operation, parameters))

    def _send(self, operation: str, hop: Hop) -> None:
        try:
            self._adapt_connection.send(operation, hop)
        except Exception as error:  # noqa: BLE001 - as in the replaced method
            self._adapt_connection._handle_exception(error)
        self._rows = deque(hop.rows)
        self._cursor = hop
        hop.values = hop.rows = ()  # an idle connection keeps its last hop


@dataclass(slots=True)
class Transaction:
    """State of the transaction of a connection, part of which has not been sent to SQLite."""

    begin_statement: str = ""
    """Statement that begins the transaction, until it is sent."""
    deferred: list[tuple[str, Any]] = field(default_factory=list)
    """Statements with their values, which run with the next statement."""
    is_open: bool = False
    is_read_only: bool = False
    failure: sqlite3.Error | None = None
    """Error after which SQLite has rolled back the open transaction, such as a full disk."""

    def send_with(self, hop: Hop) -> None:
        """Move BEGIN and the deferred statements to a hop, which runs them before its own statement."""
        if self.begin_statement:
            hop.begin_statement, self.begin_statement = self.begin_statement, ""
            self.is_read_only = hop.begin_statement == BEGIN_READING
            self.is_open = True
        hop.earlier, self.deferred = self.deferred, []

    def take_back(self, hop: Hop) -> None:
        """Keep what a failed hop has not run. If BEGIN failed, the next statement must send it."""
        self.begin_statement, self.deferred = hop.begin_statement, hop.earlier


class SingleHopConnection(AsyncAdapt_aiosqlite_connection):
    """Connection that sends BEGIN with the first statement, and deferred statements with the next one or COMMIT."""

    __slots__ = ("_last_hop", "_quick", "_sqlite", "_statements", "_streams", "transaction")

    def __init__(self, dbapi: "SingleHopDriver", connection: Any, executor: HopExecutor) -> None:
        super().__init__(dbapi, connection)
        self.transaction = Transaction()
        self._quick = dbapi.quick_statements
        self._statements = 0
        self._sqlite = executor
        """The connection itself, for calls in the event loop's thread, which SQLite allows."""
        self._last_hop = Hop((), is_finished=True)
        self._streams: list[AsyncAdapt_dbapi_cursor] = []
        """Open cursors that fetch their rows in portions."""

    def create_function(self, *arguments: Any, **options: Any) -> None:
        # Without a hop: this only changes memory, and SQLAlchemy creates two functions per connection.
        self._sqlite.create_function(*arguments, **options)

    def send(self, statement: str, hop: Hop) -> None:
        """Run a statement after the pending BEGIN and the deferred statements, without a hop if it is short."""
        transaction = self.transaction
        if transaction.failure:  # SQLite would commit the statement alone, without the earlier ones
            raise transaction.failure
        transaction.send_with(hop)
        needs_hop = hop.earlier or hop.is_executemany or self._streams or not self._last_hop.is_finished
        self._last_hop = hop
        try:
            await_(self._run(statement, hop, bool(needs_hop)))
        except sqlite3.Error as error:
            transaction.take_back(hop)
            if transaction.is_open and not (transaction.begin_statement or self._sqlite.in_transaction):
                transaction.failure = error
            raise

    async def _run(self, statement: str, hop: Hop, needs_hop: bool) -> None:
        self._statements = (self._statements + 1) % STATEMENTS_PER_TURN
        if not self._statements:
            await asyncio.sleep(0)
        if needs_hop or not self._quick.run(self._sqlite, statement, hop):
            await self._connection.execute_fetchall(statement, hop)
            self._quick.record(statement, hop)

    def cursor(self, server_side: bool = False) -> AsyncAdapt_dbapi_cursor:
        if not server_side:
            return SingleHopCursor(self)
        if self.transaction.begin_statement or self.transaction.deferred:  # a streaming cursor does not use `send`
            self.send("SELECT 1", Hop(()))
        self._streams.append(super().cursor(server_side))
        return self._streams[-1]

    def commit(self) -> None:
        transaction = self.transaction
        if not (transaction.is_open or transaction.deferred):
            transaction.begin_statement = ""
            return
        try:
            if transaction.deferred or transaction.failure:
                SingleHopCursor(self).execute("COMMIT")  # also sends BEGIN and the deferred statements
            else:
                super().commit()
        except sqlite3.Error:
            self.rollback()  # SQLAlchemy treats a failed commit as the end; the pool would return an open transaction
            raise
        self.transaction = Transaction()

    def rollback(self) -> None:
        while self._streams:  # a cursor with unread rows would keep its snapshot
            self._streams.pop().close()
        transaction = self.transaction
        # If the rollback fails, the transaction stays open, and the pool must still end it.
        self.transaction = Transaction(is_open=transaction.is_open, is_read_only=transaction.is_read_only)
        if not transaction.is_open:
            return
        if not self._last_hop.is_finished:  # left running by a cancelled request
            self._sqlite.interrupt()
        if self._last_hop.is_finished and transaction.is_read_only:
            self._sqlite.rollback()
        else:
            super().rollback()
        self.transaction.is_open = False

    def terminate(self) -> None:
        if in_greenlet():
            close_once(self._terminate_graceful_close())
        else:
            super().terminate()

    async def _terminate_graceful_close(self) -> None:
        closing = asyncio.ensure_future(super()._terminate_graceful_close())
        while not closing.done():  # the statement of a cancelled request may not have started yet
            with suppress(sqlite3.ProgrammingError):  # already closed
                self._sqlite.interrupt()
            await asyncio.wait({closing}, timeout=0.01)
        closing.result()


class SingleHopDriver(AsyncAdapt_aiosqlite_dbapi):
    """Driver module of the dialect, as DBAPI defines it."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)
        self.quick_statements = QuickStatements()

    def connect(self, *arguments: Any, **options: Any) -> SingleHopConnection:
        connection = super().connect(*arguments, **options).driver_connection
        return SingleHopConnection(self, connection, options["factory"].connection)  # of `ClosingDialect`


class SingleHopDialect(ClosingDialect):
    """SQLite dialect. Its argument `begin` in `create_async_engine` is the statement that begins a transaction."""

    driver = "fused"
    supports_statement_cache = True
    connection_class = HopExecutor

    def __init__(self, begin: str = BEGIN_READING, **options: Any) -> None:
        super().__init__(**options)
        self.begin = begin

    @classmethod
    def import_dbapi(cls) -> SingleHopDriver:
        return SingleHopDriver()

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()

    def do_begin(self, dbapi_connection: Any) -> None:
        # Not an event listener: an engine with one checks for others before and after each statement.
        dbapi_connection.transaction.begin_statement = self.begin

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if context and context.execution_options.get(DEFERRED):
            cursor.defer(statement, parameters)
        else:
            cursor.execute(statement, parameters)


registry.register(DRIVER.replace("+", "."), __name__, SingleHopDialect.__name__)
