"""psycopg's connection with waits that end, also when the server takes what we send and stays silent.

A server's own timeouts do not help there: what it says does not come through.
"""

import asyncio
import select
import sys
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from psycopg import AsyncConnection, Error, OperationalError, generators, waiting
from psycopg.abc import RV, PQGen
from psycopg.errors import ConnectionTimeout, NotSupportedError, _WaitTimeout
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn

from opportune.db.timeouts import run_in_background

POLL_INTERVAL_SECONDS = 0.1
"""Seconds, psycopg's own: so often a wait looks whether its socket is still there."""

CONNECT_TIMEOUT_SECONDS = 4
"""Seconds in which a server is reached or not, whatever number of attempts that takes."""
RETRY_DELAYS_SECONDS = (0.2, 0.6)
"""Seconds before another attempt."""
TRANSIENT_ERRORS = (
    "Connection refused",
    "Connection reset",
    "closed the connection",
    "starting up",
    "shutting down",
    "too many c",  # clients, or connections
    "remaining connection slots",
)
"""Words of servers that restart or are full. Another wrong password would only get us locked out."""

CANCEL_TIMEOUT_SECONDS = 1
"""Seconds to tell the server that nobody waits for a statement any more."""

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""What every server and pooler answers with one byte, before it knows who asks."""


class TimedConnection(AsyncConnection[Any]):
    """Cut when its server is silent. A statement that takes long is left alone while the server shows signs of life."""

    silence: float = 2.5
    """Seconds without an answer before the server is asked for a sign of life."""
    probe_timeout_seconds: float = 1.5
    """Seconds for that."""
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
        connection.silence = min(cls.silence, limit)
        return connection

    @classmethod
    async def _retry_connect(cls, *arguments: Any, **options: Any) -> Self:
        for pause in RETRY_DELAYS_SECONDS:
            try:
                return await cls.connect(*arguments, **options)
            except OperationalError as error:
                if not any(words in str(error) for words in TRANSIENT_ERRORS):
                    raise
            await asyncio.sleep(pause)
        return await cls.connect(*arguments, **options)

    async def wait(self, gen: PQGen[RV], interval: float = POLL_INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        """What every statement, commit and rollback passes.

        Raises:
            psycopg.OperationalError: the server is silent, or the statement takes too long. The connection is closed.
        """
        try:
            if timeout is not None:
                return await self._step(gen, timeout)
            try:
                return await self._step(gen, self.silence)
            except _WaitTimeout:
                return await self._wait_on(gen)
        except asyncio.CancelledError:
            # psycopg would take up to ten seconds to save a connection that SQLAlchemy then throws away.
            self._abandon()
            raise

    def _step(self, gen: PQGen[RV], seconds: float) -> Coroutine[Any, Any, RV]:
        return waiting.wait_async(gen, self.pgconn.socket, POLL_INTERVAL_SECONDS, seconds)

    async def _wait_on(self, gen: PQGen[RV]) -> RV:
        end = monotonic() + self.limit - self.silence
        while (left := end - monotonic()) > 0:
            alive = asyncio.create_task(server_responds(self.info.hostaddr or self.info.host, self.info.port))
            try:
                return await self._step(gen, self.probe_timeout_seconds)
            except _WaitTimeout:
                if not (alive.done() and alive.result()):
                    self.pgconn.finish()
                    raise OperationalError("timeout: the server is silent") from None
            finally:
                alive.cancel()
            with suppress(_WaitTimeout):
                return await self._step(gen, min(left, self.silence))
        self._abandon()
        raise OperationalError("statement timeout")

    def _abandon(self) -> None:
        """Close at once. The server is told by the way: it would go on with the statement, and keep its locks."""
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        with suppress(OperationalError, NotSupportedError):  # broken already, or libpq is older than 17
            run_in_background(_cancel(self.pgconn.cancel_conn()))
        self.pgconn.finish()

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


async def _cancel(connection: PGcancelConn) -> None:
    with suppress(Error):  # a silent server finds out by itself
        connection.start()
        await waiting.wait_conn_async(generators.cancel(connection), POLL_INTERVAL_SECONDS, CANCEL_TIMEOUT_SECONDS)


async def server_responds(host: str, port: int) -> bool:
    """Whether a server, or a pooler, talks to somebody new. Takes none of its connections and no password."""
    try:
        if host.startswith("/"):
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
