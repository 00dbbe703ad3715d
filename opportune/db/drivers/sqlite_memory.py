"""Read-only snapshot of a SQLite file in memory, for data that is read often and replaced rarely."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn, cast
from uuid import uuid4

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers.pool import pool_options
from opportune.db.drivers.sqlite import create_async_sqlite_engine, set_query_only
from opportune.db.errors import explain
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError, ReadOnlyError

READER_THREADS = 2
"""Threads of `rows`. Queries do no I/O, so more threads would only contend for the GIL."""
MAX_FILE_BYTES = 2**30
"""Maximum bytes of a database in SQLite's memdb VFS."""
LOCK_TIMEOUT_SECONDS: float = 2
"""Seconds to wait for a process that writes to the file without a WAL."""


@dataclass(frozen=True, eq=False)
class MemorySnapshot:
    """Content of the file at one time."""

    uri: str
    anchor: sqlite3.Connection
    """Keeps the memory alive: SQLite frees it when its last connection closes."""
    idle: list[sqlite3.Connection] = field(default_factory=list)

    def take_reader(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self.idle.pop()
        connection = sqlite3.connect(self.uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def close(self) -> None:
        for connection in (*self.idle, self.anchor):
            connection.close()


def check_readable(url: DatabaseUrl) -> None:
    with _open_file(url):
        pass


def read_snapshot(url: DatabaseUrl, uri: str) -> MemorySnapshot:
    with _open_file(url) as file:
        return MemorySnapshot(uri, _copy_to_memory(file, uri))


@contextmanager
def _open_file(url: DatabaseUrl) -> Iterator[sqlite3.Connection]:
    """Open a consistent view of the file, also while other processes write to it."""
    if not url.path.is_file():
        raise OperatorError(f"The file {url.path} does not exist. Check {url.name}.")
    try:
        with closing(
            sqlite3.connect(_readonly_uri(url.path), timeout=LOCK_TIMEOUT_SECONDS, uri=True, isolation_level=None)
        ) as file:
            _check_size(file, url)
            yield file
    except sqlite3.Error as error:
        raise OperatorError(explain(error, url)) from error


def _readonly_uri(path: Path) -> str:
    # If SQLite cannot create a WAL beside the file, it needs to know that no process writes.
    is_immutable = not (os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-wal").exists())
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if is_immutable else ''}"


def _check_size(file: sqlite3.Connection, url: DatabaseUrl) -> None:
    file.execute("BEGIN")  # the checked content is the copied content; backup() itself would wait forever for a lock
    size: int = file.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
    if not size:
        raise OperatorError(f"{url.path} is empty. Check {url.name}.")
    if size > MAX_FILE_BYTES:
        raise OperatorError(
            f"{url.path} is larger than the {MAX_FILE_BYTES >> 20} MiB that SQLite can hold in memory. Use sqlite:///{url.path}."
        )


def _copy_to_memory(file: sqlite3.Connection, uri: str) -> sqlite3.Connection:
    with ExitStack() as stack:
        memory = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        stack.callback(memory.close)
        file.backup(memory)
        # The header of the copied file may request WAL mode, which memory does not support.
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = DELETE", "locking_mode = NORMAL"):
            memory.execute(f"PRAGMA {pragma}")
        if memory.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("malformed")
        stack.pop_all()
    return memory


class MemoryDatabase(Database):
    """Read-only database in memory. `refresh()` reads the file again without disturbing readers."""

    memory_uri: ClassVar[str] = "file:/{}?vfs=memdb"
    """URI of memory that several connections share. With a shared cache they would block each other."""

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self._snapshot: MemorySnapshot | None = None
        self._pool_number = 0
        self._is_replacing_pool = False
        self._refresh_lock = asyncio.Lock()
        super().__init__(url, settings)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(READER_THREADS, "memory")

    def _create_writing_engine(self) -> AsyncEngine:
        engine = create_async_sqlite_engine(self.url, "BEGIN", **pool_options(self.settings))
        event.listen(engine.sync_engine, "do_connect", self._connect)
        event.listen(engine.sync_engine, "connect", set_query_only)
        event.listen(engine.sync_engine, "checkin", self._close_outdated)
        return engine

    def _create_reading_engine(self) -> AsyncEngine:
        return self.engine

    def _connect(self, dialect: Dialect, entry: ConnectionPoolEntry, *_: object) -> DBAPIConnection:
        _entry_info(entry).setdefault("pool_number", self._pool_number)
        while True:
            snapshot = self._current_snapshot()
            connection = dialect.connect(snapshot.uri, uri=True, isolation_level=None)
            if snapshot is self._snapshot:
                return connection
            connection.close()  # the snapshot was replaced, so its memory may already be freed

    def _close_outdated(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        """Close connections of a replaced pool, which would keep them and their memory."""
        if self._is_replacing_pool or _entry_info(entry)["pool_number"] != self._pool_number:
            entry.close()

    def _current_snapshot(self) -> MemorySnapshot:
        if self._snapshot is None:
            raise OperatorError(f"{self.url.path} is not in memory yet. Call setup() first.")
        return self._snapshot

    async def setup(self) -> None:
        await self.refresh()

    async def refresh(self) -> None:
        """Read the file again. Open sessions keep the previous content, and its memory is freed with the last one.

        Raises:
            OperatorError: The file cannot be read or is damaged. The previous content stays.
        """
        await asyncio.shield(self._replace_snapshot(is_open=True))  # must not stop halfway

    async def clear(self) -> None:
        """Free the memory, until the next `refresh`."""
        await asyncio.shield(self._replace_snapshot(is_open=False))

    async def dispose(self) -> None:
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        await self.clear()
        await super().dispose()
        self._threads.shutdown(wait=False)
        del self._threads  # the database may be opened again

    async def _replace_snapshot(self, *, is_open: bool) -> None:
        async with self._refresh_lock:
            uri = self.memory_uri.format(uuid4().hex)
            snapshot = await asyncio.to_thread(read_snapshot, self.url, uri) if is_open else None
            previous = self._snapshot
            self._snapshot = snapshot
            self._is_replacing_pool = True
            try:
                await self.engine.dispose()
                self._pool_number += 1
            finally:
                self._is_replacing_pool = False
            if previous:
                await asyncio.to_thread(previous.close)

    async def rows(self, statement: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a statement without SQLAlchemy, for searches that take less time than a session.

        Queries run first come, first served.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._fetch, statement, values)

    def _fetch(self, statement: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        with self._borrow() as connection:
            cursor = connection.execute(statement, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def _borrow(self) -> Iterator[sqlite3.Connection]:
        while True:
            snapshot = self._current_snapshot()
            connection = snapshot.take_reader()
            if snapshot is self._snapshot:
                break
            connection.close()  # as in `_connect`
        try:
            yield connection
        finally:
            snapshot.idle.append(connection)
            if snapshot is not self._snapshot:
                connection.close()

    def writer(self, *, is_change: bool = True) -> NoReturn:
        """Raise ReadOnlyError: the database cannot be written."""
        raise ReadOnlyError(self.url.readonly_notice)

    async def _probe(self, url: DatabaseUrl) -> None:
        if self._snapshot is None:
            await asyncio.to_thread(check_readable, url)


def _entry_info(entry: ConnectionPoolEntry) -> dict[str, int]:
    """Return the `info` of a pool entry, which outlives its connections."""
    return cast("dict[str, int]", entry.record_info)
