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

from opportune.db.timeouts import leave

LOOK_AROUND = 0.1
"""Seconds, psycopg's own: so often a wait looks whether its socket is still there."""

TO_CONNECT = 4
"""Seconds in which a server is reached or not, whatever number of attempts that takes."""
PAUSES = (0.2, 0.6)
"""Seconds before another attempt."""
PASSING = (
    "Connection refused",
    "Connection reset",
    "closed the connection",
    "starting up",
    "shutting down",
    "too many c",  # clients, or connections
    "remaining connection slots",
)
"""Words of servers that restart or are full. Another wrong password would only get us locked out."""

TO_CANCEL = 1
"""Seconds to tell the server that nobody waits for a statement any more."""

ASK_FOR_TLS = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""What every server and pooler answers with one byte, before it knows who asks."""


class TimedConnection(AsyncConnection[Any]):
    """Cut when its server is silent. A statement that takes long is left alone while the server shows signs of life."""

    silence: float = 2.5
    """Seconds without an answer before the server is asked for a sign of life."""
    sign_of_life: float = 1.5
    """Seconds for that."""
    limit: float = 30
    """Seconds that one statement may take at all."""

    @classmethod
    async def reach(cls, *arguments: Any, limit: float, **options: Any) -> Self:
        """Connect, again if the server is just restarting.

        Raises:
            psycopg.OperationalError: it cannot be reached in time.
        """
        try:
            async with asyncio.timeout(TO_CONNECT):
                connection = await cls._insist(*arguments, **options)
        except TimeoutError:
            raise ConnectionTimeout("connection timeout expired") from None
        connection.limit = limit
        connection.silence = min(cls.silence, limit)
        return connection

    @classmethod
    async def _insist(cls, *arguments: Any, **options: Any) -> Self:
        for pause in PAUSES:
            try:
                return await cls.connect(*arguments, **options)
            except OperationalError as error:
                if not any(words in str(error) for words in PASSING):
                    raise
            await asyncio.sleep(pause)
        return await cls.connect(*arguments, **options)

    async def wait(self, gen: PQGen[RV], interval: float = LOOK_AROUND, timeout: float | None = None) -> RV:
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
        return waiting.wait_async(gen, self.pgconn.socket, LOOK_AROUND, seconds)

    async def _wait_on(self, gen: PQGen[RV]) -> RV:
        end = monotonic() + self.limit - self.silence
        while (left := end - monotonic()) > 0:
            alive = asyncio.create_task(answers(self.info.hostaddr or self.info.host, self.info.port))
            try:
                return await self._step(gen, self.sign_of_life)
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
            leave(_cancel(self.pgconn.cancel_conn()))
        self.pgconn.finish()

    async def answers(self, seconds: float) -> bool:
        """Whether the server answers on this connection. Costs a round trip."""
        try:
            async with asyncio.timeout(seconds):
                await self.set_autocommit(True)
                await self.execute(";")
                await self.set_autocommit(False)
        except (Error, TimeoutError):
            return False
        return True

    def stirs(self) -> bool:
        """Whether something waits to be read: on an idle connection that is most likely the server's farewell."""
        return _readable(self.pgconn.socket)


async def _cancel(connection: PGcancelConn) -> None:
    with suppress(Error):  # a silent server finds out by itself
        connection.start()
        await waiting.wait_conn_async(generators.cancel(connection), LOOK_AROUND, TO_CANCEL)


async def answers(host: str, port: int) -> bool:
    """Whether a server, or a pooler, talks to somebody new. Takes none of its connections and no password."""
    try:
        if host.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(ASK_FOR_TLS)
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
