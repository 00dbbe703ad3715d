"""Read-only snapshot of a SQLite file in memory, for data that is read often and replaced rarely."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
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
from opportune.db.drivers.sqlite_snapshot import MemorySnapshot, check_readable, read_snapshot
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError, ReadOnlyError

READER_THREADS = 2
"""Threads of `rows`. Queries do no I/O, so more threads would only contend for the GIL."""


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
        """Read the file into memory."""
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
