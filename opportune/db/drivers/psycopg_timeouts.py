"""psycopg's connection with waits that end, also when the server takes what we send and stays silent.

A server's own timeouts do not help there: what it says does not come through. `psycopg_adapter` does the same better.
"""

import asyncio
import select
import sys
from typing import Any, Self

from psycopg import AsyncConnection, Error, OperationalError
from psycopg.abc import RV, PQGen
from psycopg.errors import ConnectionTimeout

from opportune.config.speedups import speedup

POLL_INTERVAL_SECONDS = 0.1
"""Seconds, psycopg's own: so often a wait looks whether its socket is still there."""

CONNECT_TIMEOUT_SECONDS = 4
"""Seconds in which a server is reached or not, whatever number of attempts that takes."""
RETRY_DELAYS_SECONDS = (0.2, 0.6)
"""Seconds before another attempt."""
WAKE_RETRY_SECONDS = 0.6
WAKING_ERRORS = ("starting up", "not yet accepting connections", "compute node")
"""Words of servers, and of proxies before databases that sleep, which will be there in a moment."""
TRANSIENT_ERRORS = (
    "Connection refused",
    "Connection reset",
    "closed the connection",
    "shutting down",
    "too many c",  # clients, or connections
    "remaining connection slots",
)
"""Words of servers that restart or are full. Another wrong password would only get us locked out."""

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""What every server and pooler answers with one byte, before it knows who asks."""


class TimedConnection(AsyncConnection[Any]):
    """Cut when a statement takes too long, whoever is to blame."""

    limit: float = 30
    """Seconds that one statement may take at all."""

    @classmethod
    async def connect_with_retry(cls, *arguments: Any, limit: float, **options: Any) -> Self:
        """Connect, again if the server is just restarting.

        Raises:
            psycopg.OperationalError: it cannot be reached in time.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                connection = await cls._retry_connect(*arguments, **options)
        except TimeoutError:
            raise ConnectionTimeout("connection timeout expired") from None
        connection.limit = limit
        return connection

    @classmethod
    async def _retry_connect(cls, *arguments: Any, **options: Any) -> Self:
        """Connect; one that wakes up is asked until the time is up."""
        pauses = iter(RETRY_DELAYS_SECONDS)
        while True:
            try:
                return await cls.connect(*arguments, **options)
            except OperationalError as error:
                is_waking = any(words in str(error) for words in WAKING_ERRORS)
                pause = next(pauses, WAKE_RETRY_SECONDS if is_waking else None)
                if pause is None or not (is_waking or any(words in str(error) for words in TRANSIENT_ERRORS)):
                    raise
            await asyncio.sleep(pause)

    async def wait(self, gen: PQGen[RV], interval: float = POLL_INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        """What every statement, commit and rollback passes.

        Raises:
            psycopg.OperationalError: the statement takes too long. The connection is closed.
        """
        try:
            async with asyncio.timeout(self.limit):
                return await super().wait(gen, interval, timeout)
        except TimeoutError:
            self.pgconn.finish()
            raise OperationalError("statement timeout") from None

    async def is_alive(self, seconds: float) -> bool:
        """Whether the server answers on this connection. Costs a round trip."""
        try:
            async with asyncio.timeout(seconds):
                await self.set_autocommit(True)
                await self.execute(";")
                await self.set_autocommit(False)
        except (Error, TimeoutError):
            return False
        return True

    def has_pending_data(self) -> bool:
        """Whether something waits to be read: on an idle connection that is most likely the server's farewell."""
        return _readable(self.pgconn.socket)


async def server_responds(host: str, port: int) -> bool:
    """Whether a server, or a pooler, talks to somebody new. Takes none of its connections and no password."""
    try:
        if sys.platform != "win32" and host.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(SSL_REQUEST)
        return bool(await reader.read(1))
    except OSError:
        return False
    finally:
        writer.transport.abort()


if sys.platform == "win32":  # which has no poll

    def _readable(socket: int) -> bool:
        return bool(select.select([socket], [], [], 0)[0])
else:

    def _readable(socket: int) -> bool:
        poll = select.poll()  # takes numbers that select does not
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0))


def connection_class() -> type[TimedConnection]:
    """The connection that finds out a silent server, where psycopg still has what it needs."""
    return speedup("opportune.db.drivers.psycopg_adapter", "WatchedConnection", TimedConnection)
