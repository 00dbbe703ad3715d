"""A SQLite file as it was when it was read into memory: for what is read often and replaced now and then."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn, cast
from uuid import uuid4

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers.pool import pool_options
from opportune.db.drivers.sqlite import set_query_only, sqlite_engine
from opportune.db.errors import explain
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError, ReadOnlyError

MAX_FILE_BYTES = 2**30
"""Bytes that SQLite keeps in memory of this kind."""

LOCK_TIMEOUT_SECONDS: float = 2
"""Seconds to wait for a process that writes to the file without a log beside it."""

READER_THREADS = 2
"""For `rows`. Nothing is waited for in memory, and more would only take Python's lock from one another."""


class MemorySnapshot(NamedTuple):
    """What was read at one time."""

    address: str
    anchor: sqlite3.Connection
    """Keeps the memory: SQLite frees it with its last connection."""
    idle: list[sqlite3.Connection]
    """Connections of `rows` that nobody uses just now."""

    def close(self) -> None:
        for connection in (*self.idle, self.anchor):
            connection.close()


class MemoryDatabase(Database):
    """Only reads. `refresh()` reads the file again, and nobody who reads meanwhile notices."""

    shared: ClassVar[str] = "file:/{}?vfs=memdb"
    """How SQLite's connections find the same memory. In its shared cache they would wait for one another."""

    def __init__(self, url: DatabaseURL, settings: Settings) -> None:
        self._copy: MemorySnapshot | None = None
        self._pools = 0
        """One more when a pool begins to be disposed of, and when another has taken its place."""
        self._one_at_a_time = asyncio.Lock()
        self._threads = ThreadPoolExecutor(READER_THREADS, "memory")
        super().__init__(url, settings)

    def _writing_engine(self) -> AsyncEngine:
        engine = sqlite_engine(self.url, "BEGIN", **pool_options(self.settings))
        event.listen(engine.sync_engine, "do_connect", self._connect)
        event.listen(engine.sync_engine, "connect", set_query_only)
        event.listen(engine.sync_engine, "checkin", self._close_outdated)
        return engine

    def _reading_engine(self) -> AsyncEngine:
        return self.engine

    def _connect(self, dialect: Dialect, entry: ConnectionPoolEntry, *_: object) -> DBAPIConnection:
        _of_pool(entry).setdefault("pools", self._pools)
        while True:
            copy = self._current()
            connection = dialect.connect(copy.address, uri=True, isolation_level=None)
            if copy is self._copy:
                return connection
            connection.close()  # its memory may have been given up before it was opened

    def _close_outdated(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        """A pool that was disposed of would keep what comes back, and with it the memory."""
        if _of_pool(entry)["pools"] != self._pools or self._pools % 2:
            entry.close()

    def _current(self) -> MemorySnapshot:
        if self._copy is None:
            raise OperatorError(f"{self.url.path} has not been read into memory: setup() does that.")
        return self._copy

    async def setup(self) -> None:
        """Read the file, as `refresh` does."""
        await self.refresh()

    async def refresh(self) -> None:
        """Read the file again. Who is reading ends on what was there before, and the last of them frees its memory.

        Raises:
            OperatorError: the file cannot be read, or is damaged; what was there before stays.
        """
        await asyncio.shield(self._refresh())  # half of it would be worse than all

    async def _refresh(self) -> None:
        async with self._one_at_a_time:
            copy = await asyncio.to_thread(_read, self.url, self.shared.format(uuid4().hex))
            await self._replace(copy)

    async def dispose(self) -> None:
        async with self._one_at_a_time:
            await self._replace(None)

    async def _replace(self, copy: MemorySnapshot | None) -> None:
        before, self._copy = self._copy, copy
        self._pools += 1
        await self.engine.dispose()
        self._pools += 1
        if before:
            await asyncio.to_thread(before.close)

    async def rows(self, statement: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """What one statement finds, without SQLAlchemy: for searches, which take less time than a session does.

        Who asks first is answered first.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._fetch, statement, values)

    def _fetch(self, statement: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        with self._lent() as connection:
            cursor = connection.execute(statement, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        while True:
            copy = self._current()
            connection = _idle(copy) or _reading(copy.address)
            if copy is self._copy:
                break
            connection.close()  # as in `_connect`
        try:
            yield connection
        finally:
            copy.idle.append(connection)
            if copy is not self._copy:
                connection.close()

    def writer(self) -> NoReturn:
        """There is none.

        Raises:
            ReadOnlyError: always.
        """
        raise ReadOnlyError(self.url.written_never)

    async def _probe(self, url: DatabaseURL) -> None:
        if self._copy is None:
            await asyncio.to_thread(_look, url)


def _of_pool(entry: ConnectionPoolEntry) -> dict[str, int]:
    """What stays with a place in a pool, whatever connections it has had."""
    return cast("dict[str, int]", entry.record_info)


def _look(url: DatabaseURL) -> None:
    with _opened(url):
        """It can be read."""


def _read(url: DatabaseURL, address: str) -> MemorySnapshot:
    with _opened(url) as file:
        return MemorySnapshot(address, _copied(file, address), [])


def _reading(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _idle(copy: MemorySnapshot) -> sqlite3.Connection | None:
    try:
        return copy.idle.pop()
    except IndexError:
        return None


@contextmanager
def _opened(url: DatabaseURL) -> Iterator[sqlite3.Connection]:
    """The file as it is at this moment, also while others write to it.

    Raises:
        OperatorError: it cannot be read, is empty, damaged or too large.
    """
    if not url.path.is_file():
        raise OperatorError(f"There is no file {url.path}. Check {url.name}.")
    try:
        with closing(
            sqlite3.connect(_address(url.path), timeout=LOCK_TIMEOUT_SECONDS, uri=True, isolation_level=None)
        ) as file:
            _check_size(file, url)
            yield file
    except sqlite3.Error as error:
        raise OperatorError(explain(error, url)) from error


def _address(path: Path) -> str:
    # Where SQLite cannot make its log beside the file it must be told that nobody writes.
    is_left_alone = not (os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-wal").exists())
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if is_left_alone else ''}"


def _check_size(file: sqlite3.Connection, url: DatabaseURL) -> None:
    file.execute("BEGIN")  # what is looked at is what is copied; and the copying itself would wait for ever for a lock
    size: int = file.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
    if not size:
        raise OperatorError(f"{url.path} is empty. Check {url.name}.")
    if size > MAX_FILE_BYTES:
        raise OperatorError(
            f"{url.path} has more than the {MAX_FILE_BYTES >> 20} MiB that SQLite takes into memory. Use sqlite:///{url.path}."
        )


def _copied(file: sqlite3.Connection, address: str) -> sqlite3.Connection:
    with ExitStack() as stack:
        memory = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        stack.callback(memory.close)
        file.backup(memory)
        # A file with a write-ahead log says so in its head, and memory has none.
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = DELETE", "locking_mode = NORMAL"):
            memory.execute(f"PRAGMA {pragma}")
        _check_whole(memory)
        stack.pop_all()
    return memory


def _check_whole(memory: sqlite3.Connection) -> None:
    if memory.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("malformed")
