"""PostgreSQL connections that outlive a test and are reused by later tests of the same database.

A new connection, whose server process has to load its catalogue, takes longer than most tests.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, ClassVar, Self

import pytest
from psycopg import Error
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

from opportune.db.drivers import psycopg_timeouts
from opportune.db.drivers.psycopg_timeouts import TimedConnection

MAX_IDLE_CONNECTIONS = 8
"""Maximum idle connections to one database."""

RESET_STATEMENTS = """
    RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all();
    DISCARD SEQUENCES; DISCARD TEMP
"""
"""DISCARD ALL without prepared statements, which psycopg would not notice."""


class ConnectionCache:
    """Idle connections by database and options.

    Args:
        port: Port of the server. Connections through a pooler or a proxy are not cached.
        is_in_use: Return whether a test uses the database of this name.
        loop: Event loop of all tests; None disables the cache. Connections of other loops are closed.
    """

    def __init__(self, port: int, is_in_use: Callable[[str], bool], loop: asyncio.AbstractEventLoop | None) -> None:
        self.port, self.is_in_use, self.loop = port, is_in_use, loop
        self._idle: dict[str, list[CachedConnection]] = defaultdict(list)

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        """Cache the connections that are opened from now on."""
        connection_class = psycopg_timeouts.TimedConnection  # it may belong to another cache
        bases = (
            (connection_class,)
            if issubclass(connection_class, CachedConnection)
            else (CachedConnection, connection_class)
        )
        cached_class = type("CachedAppConnection", bases, {"cache": self})
        patch.setattr(psycopg_timeouts, "TimedConnection", cached_class)

    def pids(self, database: str) -> list[int]:
        """Return the process ids of the idle connections."""
        return [connection.info.backend_pid for connection in self._idle[database] if not connection.closed]

    def forget(self, database: str) -> None:
        for connection in self._idle.pop(database, ()):
            connection.pgconn.finish()

    def close(self) -> None:
        for database in list(self._idle):
            self.forget(database)

    def take_connection(self, database: str, reuse_key: Hashable) -> "CachedConnection | None":
        if asyncio.get_running_loop() is self.loop:
            for connection in self._reusable(database, reuse_key):
                self._idle[database].remove(connection)
                if not connection.closed and not connection.has_pending_data():
                    return connection
                connection.pgconn.finish()
        return None

    def _reusable(self, database: str, reuse_key: Hashable) -> Iterator["CachedConnection"]:
        return (connection for connection in self._idle[database][::-1] if connection.reuse_key == reuse_key)

    async def store(self, connection: "CachedConnection") -> bool:
        """Reset and store a connection. Return False if that is not possible."""
        info = connection.info
        if (
            asyncio.get_running_loop() is not self.loop
            or connection.closed
            or (info.port, info.transaction_status) != (self.port, TransactionStatus.IDLE)
            or not self.is_in_use(info.dbname)
            or len(self._idle[info.dbname]) == MAX_IDLE_CONNECTIONS
        ):
            return False
        try:
            await connection.reset()
        except Error:
            return False
        self._idle[info.dbname].append(connection)
        return True


class CachedConnection(TimedConnection):
    """Connection that returns to its cache when it is closed."""

    cache: ClassVar[ConnectionCache]
    reuse_key: Hashable = None
    notice_handler: Callable[[Diagnostic], None] | None = None

    @classmethod
    async def connect_with_retry(cls, *arguments: Any, **options: Any) -> Self:
        # Each dialect has its own context, but they are equal.
        values = {name: str(value) for name, value in options.items() if name != "context"}
        reuse_key = (cls, arguments, getattr(cls, "probe_after_seconds", None), *sorted(values.items()))
        connection: Any = cls.cache.take_connection(values.get("dbname", ""), reuse_key)
        if connection is None:
            connection = await super().connect_with_retry(*arguments, **options)
            connection.reuse_key = reuse_key
        return connection  # type: ignore[no-any-return]

    def add_notice_handler(self, callback: Callable[[Diagnostic], None]) -> None:
        """Add the handler once, although each pool adds one to its connections."""
        if self.notice_handler is None:
            self.notice_handler = callback
            super().add_notice_handler(callback)

    async def close(self) -> None:
        if self.reuse_key is None or not await self.cache.store(self):
            await super().close()

    async def reset(self) -> None:
        """Restore the initial state of server and psycopg."""
        await self.set_autocommit(True)
        await self.execute(RESET_STATEMENTS)
        await self.set_autocommit(False)
        await self.set_isolation_level(None)
        await self.set_read_only(None)
        await self.set_deferrable(None)
