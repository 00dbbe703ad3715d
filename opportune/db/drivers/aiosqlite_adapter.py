"""One thread hop per SQLite statement: 10 % of a list's CPU, 25 to 45 % of CRUD's (`bench.speed --only list,rows,add`).

SQLAlchemy's adapter of aiosqlite makes four hops (cursor, execute, fetchall, close), one more to begin and one to end a
transaction. Each wakes two threads, which costs more than SQLite's own work.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiosqlite
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from opportune.config.speedups import require

require(AsyncAdapt_aiosqlite_connection, "_handle_exception", "_terminate_force_close", "_terminate_graceful_close")


@dataclass(slots=True, eq=False)
class Hop:
    """What one hop takes to the thread, and what it brings back."""

    values: Any
    many: bool = False
    begin: str = ""
    done: bool = False
    rows: Sequence[Any] = ()
    description: Any = None
    lastrowid: Any = -1
    rowcount: int = -1


class HopExecutor(sqlite3.Connection):
    """Does a whole `Hop` where aiosqlite's public `execute_fetchall` calls `execute`, in its thread."""

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        if not isinstance(values, Hop):
            return super().execute(statement, values)
        try:
            return self._go(statement, values)
        finally:
            values.done = True

    def _go(self, statement: str, round_: Hop) -> sqlite3.Cursor:
        if round_.begin:
            super().execute(round_.begin)
            round_.begin = ""
        cursor = (super().executemany if round_.many else super().execute)(statement, round_.values)
        if cursor.description:
            round_.description, round_.rows = cursor.description, cursor.fetchall()
        else:
            round_.lastrowid, round_.rowcount = cursor.lastrowid, cursor.rowcount
        return cursor


class SingleHopCursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()

    _adapt_connection: "SingleHopConnection"

    def execute(self, operation: Any, parameters: Any = None) -> None:
        self._go(operation, Hop(() if parameters is None else parameters))

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        self._go(operation, Hop(seq_of_parameters, many=True))

    def _go(self, operation: str, round_: Hop) -> None:
        try:
            self._adapt_connection.send(operation, round_)
        except Exception as error:  # noqa: BLE001 - as in the method that this one replaces, which knows what to do
            self._adapt_connection._handle_exception(error)
        self._rows = deque(round_.rows)
        self.description, self.lastrowid, self.rowcount = round_.description, round_.lastrowid, round_.rowcount


class SingleHopConnection(AsyncAdapt_aiosqlite_connection):
    """Sends BEGIN along with the first statement, and ends what has only read without a hop."""

    __slots__ = ("_begin", "_last", "_open", "_reads", "_sqlite", "_streams")

    def __init__(self, dbapi: Any, connection: Any, made: HopExecutor) -> None:
        super().__init__(dbapi, connection)
        self._sqlite = made
        self._begin = ""
        self._open = self._reads = False
        self._last = Hop((), done=True)
        self._streams: list[AsyncAdapt_aiosqlite_cursor] = []

    def create_function(self, *arguments: Any, **options: Any) -> None:
        """Without a hop: SQLite writes it into its memory, and SQLAlchemy has two for each connection."""
        self._sqlite.create_function(*arguments, **options)

    def begin(self, statement: str) -> None:
        """Begin a transaction with the next statement."""
        self._begin = statement

    def send(self, statement: str, round_: Hop) -> None:
        if self._begin:
            round_.begin, self._begin = self._begin, ""
            self._reads, self._open = round_.begin == "BEGIN", True
        self._last = round_
        try:
            self.await_(self._connection.execute_fetchall(statement, round_))
        except sqlite3.Error:
            self._begin = round_.begin  # what could not even begin must not go on without
            raise

    def cursor(self, server_side: bool = False) -> AsyncAdapt_aiosqlite_cursor:
        if not server_side:
            return SingleHopCursor(self)
        if self._begin:  # a cursor that streams makes hops of its own
            self.send("SELECT 1", Hop(()))
        self._streams.append(super().cursor(server_side))
        return self._streams[-1]

    def commit(self) -> None:
        if not self._is_open():
            return
        try:
            super().commit()
        except sqlite3.Error:
            self.rollback()  # SQLAlchemy takes a commit that fails for the end, and the next user would find this open
            raise
        self._open = False

    def rollback(self) -> None:
        while self._streams:  # one that is left unread would keep its snapshot, for the next user too
            self._streams.pop().close()
        if not self._is_open():
            return
        if not self._last.done:  # a cancelled request has left it behind
            self._sqlite.interrupt()
        if self._last.done and self._reads:  # lets go of a lock in shared memory: no disk, nothing to wait for
            self._sqlite.rollback()
        else:
            super().rollback()
        self._open = False  # only now: where nothing can be awaited it is still open, for the pool to end it

    def terminate(self) -> None:
        with suppress(asyncio.CancelledError):  # another one: the first is on its way, and the close goes on by itself
            super().terminate()

    def _terminate_force_close(self) -> None:
        if not in_greenlet():  # else a close is under way, which this would cut short of its rollback
            super()._terminate_force_close()

    async def _terminate_graceful_close(self) -> None:
        closing = asyncio.ensure_future(super()._terminate_graceful_close())
        while not closing.done():  # what a cancelled request has left behind may not even have begun
            with suppress(sqlite3.ProgrammingError):  # it is closed
                self._sqlite.interrupt()
            await asyncio.wait({closing}, timeout=0.01)
        closing.result()

    def _is_open(self) -> bool:
        """Whether there is a transaction to end; one that no statement followed was never begun."""
        self._begin = ""
        return self._open


class SingleHopDriver(AsyncAdapt_aiosqlite_dbapi):
    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arguments: Any, **options: Any) -> SingleHopConnection:
        made: list[HopExecutor] = []
        given_up = False

        def connect(*arguments: Any, **options: Any) -> HopExecutor:
            made.append(HopExecutor(*arguments, **options))
            if given_up:
                made[0].close()
            return made[0]

        # Our thread too ends transactions and interrupts statements; SQLite itself is made for that.
        options |= {"factory": connect, "check_same_thread": False}
        connection = aiosqlite.connect(*arguments, **options)
        vars(connection)["_thread"].daemon = True  # as in the method that this one replaces
        try:
            await_only(connection)
        except BaseException:  # a cancelled request leaves behind what its thread has made, or is about to
            given_up = True
            for left in made:
                left.close()
            raise
        return SingleHopConnection(self, connection, made[0])


class SingleHopDialect(SQLiteDialect_aiosqlite):
    """`begin` is the statement that begins a transaction: an argument of `create_async_engine`."""

    driver = "fused"
    supports_statement_cache = True

    def __init__(self, begin: str = "BEGIN", **options: Any) -> None:
        super().__init__(**options)
        self.begin = begin

    @classmethod
    def import_dbapi(cls) -> SingleHopDriver:
        return SingleHopDriver()

    def do_begin(self, dbapi_connection: Any) -> None:
        # An event would do, but an engine with one looks for others before and after each statement.
        dbapi_connection.begin(self.begin)


DRIVER = "sqlite+fused"
registry.register(DRIVER.replace("+", "."), __name__, SingleHopDialect.__name__)
