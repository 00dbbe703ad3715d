"""Connections to databases of PostgreSQL that outlive a test, for the tests that follow it on the same database.

To make one, and to have its server look up tables anew, takes longer than most tests ask of it.
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

MAX_KEPT = 8
"""Connections to one database that nobody uses."""

AS_NEW = """
    RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all();
    DISCARD SEQUENCES; DISCARD TEMP
"""
"""What DISCARD ALL does, but to prepared statements, about which psycopg would not be told."""


class KeptConnections:
    """Those that nobody uses, by database and by how they were made.

    Args:
        port: Of the server; what goes through a pooler or a proxy is not kept.
        is_in_use: Whether a test has the database of this name.
        loop: That of all tests; None where none are kept. What other loops have made ends with them.
    """

    def __init__(self, port: int, is_in_use: Callable[[str], bool], loop: asyncio.AbstractEventLoop | None) -> None:
        self.port, self.is_in_use, self.loop = port, is_in_use, loop
        self._idle: dict[str, list[KeptConnection]] = defaultdict(list)

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        """Have what connects from here on leave its connections here."""
        used = psycopg_timeouts.TimedConnection  # it may be one of others that keep theirs
        bases = (used,) if issubclass(used, KeptConnection) else (KeptConnection, used)
        connects = type("KeptAppConnection", bases, {"keeper": self})
        patch.setattr(psycopg_timeouts, "TimedConnection", connects)

    def pids(self, database: str) -> list[int]:
        """The server's processes for those that nobody uses."""
        return [connection.info.backend_pid for connection in self._idle[database] if not connection.closed]

    def forget(self, database: str) -> None:
        for connection in self._idle.pop(database, ()):
            connection.pgconn.finish()

    def close(self) -> None:
        for database in list(self._idle):
            self.forget(database)

    def take(self, database: str, made_by: Hashable) -> "KeptConnection | None":
        if asyncio.get_running_loop() is self.loop:
            for connection in self._made_by(database, made_by):
                self._idle[database].remove(connection)
                if not connection.closed and not connection.has_pending_data():
                    return connection
                connection.pgconn.finish()
        return None

    def _made_by(self, database: str, made_by: Hashable) -> Iterator["KeptConnection"]:
        return (connection for connection in self._idle[database][::-1] if connection.made_by == made_by)

    async def keep(self, connection: "KeptConnection") -> bool:
        """Make it as new and keep it; False where that cannot be."""
        info = connection.info
        if (
            asyncio.get_running_loop() is not self.loop
            or connection.closed
            or (info.port, info.transaction_status) != (self.port, TransactionStatus.IDLE)
            or not self.is_in_use(info.dbname)
            or len(self._idle[info.dbname]) == MAX_KEPT
        ):
            return False
        try:
            await connection.make_new()
        except Error:
            return False
        self._idle[info.dbname].append(connection)
        return True


class KeptConnection(TimedConnection):
    """Goes back to `keeper` when it is closed."""

    keeper: ClassVar[KeptConnections]
    made_by: Hashable = None
    notice_handler: Callable[[Diagnostic], None] | None = None

    @classmethod
    async def connect_with_retry(cls, *arguments: Any, limit: float, **options: Any) -> Self:
        told = {name: str(value) for name, value in options.items() if name != "context"}  # alike in each dialect
        made_by = (cls, arguments, limit, getattr(cls, "silence", None), *sorted(told.items()))
        connection: Any = cls.keeper.take(told.get("dbname", ""), made_by)
        if connection is None:
            connection = await super().connect_with_retry(*arguments, limit=limit, **options)
            connection.made_by = made_by
        return connection  # type: ignore[no-any-return]

    def add_notice_handler(self, callback: Callable[[Diagnostic], None]) -> None:
        """The same once: each pool gives one to each connection that it has made."""
        if self.notice_handler is None:
            self.notice_handler = callback
            super().add_notice_handler(callback)

    async def close(self) -> None:
        if self.made_by is None or not await self.keeper.keep(self):
            await super().close()

    async def make_new(self) -> None:
        """As the server and psycopg had it first."""
        await self.set_autocommit(True)
        await self.execute(AS_NEW)
        await self.set_autocommit(False)
        await self.set_isolation_level(None)
        await self.set_read_only(None)
        await self.set_deferrable(None)
