"""psycopg connection with timeouts on the client, for servers that accept data and stay silent.

Server-side timeouts do not help in this case, because the error message does not arrive.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any, Self, cast

from psycopg import AsyncConnection, Error, OperationalError, generators, waiting
from psycopg.abc import RV, PQGen
from psycopg.errors import ConnectionTimeout, InFailedSqlTransaction, NotSupportedError
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn
from psycopg.waiting import Ready, Wait

from opportune.db.drivers.socket_watch import SocketWatch
from opportune.services.tasks import run_in_background

POLL_INTERVAL_SECONDS = 0.1
"""Seconds between checks of the socket while waiting. psycopg's default."""

CONNECT_TIMEOUT_SECONDS = 4
"""Seconds to connect, over all attempts."""
CANCEL_TIMEOUT_SECONDS = 1
"""Seconds in which the server must confirm the cancellation of an abandoned statement."""
POOLER_TIMEOUT_SECONDS = 1
"""Seconds in which a pooler reports that it has lost the server. It needs longer if all its connections are in use."""
RETRY_DELAYS_SECONDS = (0.2, 0.6)
WAKE_RETRY_SECONDS = 0.6
"""Seconds between further attempts while a suspended server starts."""
WAKING_ERRORS = ("starting up", "not yet accepting connections", "compute node")
"""Messages of starting servers, and of proxies in front of suspended databases."""
TRANSIENT_ERRORS = (
    "Connection refused",
    "Connection reset",
    "closed the connection",
    "shutting down",
    "too many c",  # clients, or connections
    "remaining connection slots",
)
"""Messages of servers that restart or have no free connection. A wrong password is not retried, because
the server may lock the user out.
"""

FAILED_TRANSACTION = (
    "a statement of this transaction has failed, so nothing can be saved. Run a statement that may fail in "
    "`async with session.begin_nested():`."
)
LOST_SERVER = "server login has been failing"
"""Part of PgBouncer's message while it cannot reach the server."""
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""Message to which every server and pooler responds with one byte, before authentication."""


# psycopg also logs errors that follow the error which it raises, such as at the end of a failed `executemany`.
logging.getLogger("psycopg").addFilter(lambda record: "error ignored" not in str(record.msg))


_probes: dict[str, asyncio.Task[bool]] = {}
"""The newest probe of each server."""


class TimedConnection(AsyncConnection[Any]):
    """Connection that is closed if its server is silent or a statement takes too long.

    A slow statement continues while the server responds to probes.
    """

    statement_timeout_seconds: float = 30
    probe_after_seconds: float = 2.5
    """Seconds without a response before the server is probed."""
    probe_timeout_seconds: float = 1.5
    """Seconds to wait for the response to a probe."""
    clock_reading: tuple[float, float]
    """Time of the server when it was connected, in seconds since 1970, and seconds until it responded."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._watch = SocketWatch()

    @classmethod
    async def connect_with_retry(cls, *arguments: Any, statement_timeout_seconds: float, **options: Any) -> Self:
        """Connect, and retry if the server is restarting.

        Raises:
            psycopg.OperationalError: The server cannot be reached in time.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                connection = await cls._retry_connect(*arguments, **options)
                connection.clock_reading = await connection.read_clock()  # a pooler without a server stays silent
        except TimeoutError:
            raise ConnectionTimeout("connection timeout expired") from None
        connection.statement_timeout_seconds = statement_timeout_seconds
        connection.probe_after_seconds = min(cls.probe_after_seconds, statement_timeout_seconds)
        return connection

    @classmethod
    async def _retry_connect(cls, *arguments: Any, **options: Any) -> Self:
        delays = iter(RETRY_DELAYS_SECONDS)
        while True:
            try:
                return await cls.connect(*arguments, **options)
            except OperationalError as error:
                is_waking = any(message in str(error) for message in WAKING_ERRORS)
                delay = next(delays, WAKE_RETRY_SECONDS if is_waking else None)
                if delay is None or not (is_waking or any(message in str(error) for message in TRANSIENT_ERRORS)):
                    raise
            await asyncio.sleep(delay)

    async def wait(self, gen: PQGen[RV], interval: float = POLL_INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        """Wait for a statement, commit or rollback.

        Raises:
            psycopg.OperationalError: The server is silent or the statement takes too long. The connection is closed.
        """
        try:
            if timeout is not None:
                self._watch.stop()
                return await waiting.wait_async(gen, self.pgconn.socket, interval, timeout)
            return await self._wait_watching(gen)
        except asyncio.CancelledError:
            # psycopg would take up to ten seconds to rescue a connection that SQLAlchemy then closes.
            self._abandon()
            raise
        except BaseException:
            self._watch.stop()  # libpq may have closed the socket
            raise

    async def _wait_watching(self, gen: PQGen[RV]) -> RV:
        """Wait for a statement with the watch of the connection. After `probe_after_seconds`, check the server."""
        try:
            state = next(gen)
            if state == Wait.RW:  # a socket is nearly always writable
                state = gen.send(Ready.W)
            while state == Wait.R:
                if not await self._watch.is_readable_within(self.pgconn.socket, self.probe_after_seconds):
                    return await self._wait_while_alive(gen)
                state = gen.send(Ready.R)
        except StopIteration as end:
            return cast("RV", end.value)
        with suppress(TimeoutError):
            return await self._wait_for(gen, self.probe_after_seconds)
        return await self._wait_while_alive(gen)

    async def commit(self) -> None:
        """Commit the transaction.

        Raises:
            psycopg.errors.InFailedSqlTransaction: A statement has failed, and its error was caught. PostgreSQL would
                roll back the transaction and report no error.
        """
        if self.pgconn.transaction_status == TransactionStatus.INERROR:
            await self.rollback()  # SQLAlchemy treats a failed commit as the end of the transaction
            raise InFailedSqlTransaction(FAILED_TRANSACTION)
        await super().commit()

    async def rollback(self) -> None:
        if self.pgconn.transaction_status != TransactionStatus.IDLE:  # the pool also rolls back after a commit
            await super().rollback()

    async def close(self) -> None:
        self._watch.stop()
        await super().close()

    async def _wait_for(self, gen: PQGen[RV], timeout_seconds: float) -> RV:
        self._watch.stop()
        async with asyncio.timeout(timeout_seconds):
            return await waiting.wait_async(_resume(gen), self.pgconn.socket, POLL_INTERVAL_SECONDS)

    async def _wait_while_alive(self, gen: PQGen[RV]) -> RV:
        deadline = monotonic() + self.statement_timeout_seconds - self.probe_after_seconds
        while (remaining := deadline - monotonic()) > 0:
            probe = self.probe_server()
            with suppress(TimeoutError):
                return await self._wait_for(gen, self.probe_timeout_seconds)
            if not (probe.done() and probe.result()):
                self.pgconn.finish()
                raise OperationalError("timeout: the server is silent")
            with suppress(TimeoutError):
                return await self._wait_for(gen, min(remaining, self.probe_after_seconds))
        self._abandon()
        raise OperationalError("statement timeout")

    def probe_server(self) -> asyncio.Task[bool]:
        """Return the running probe of the server, or start one. Behind a pooler, each probe opens a connection."""
        probe = _probes.get(self.info.dsn)
        if probe is None or probe.done() or probe.get_loop() is not asyncio.get_running_loop():
            probe = _probes[self.info.dsn] = run_in_background(self._responds_to_new_client())
        return probe

    async def _responds_to_new_client(self) -> bool:
        """Return whether the server responds. A pooler that has lost it refuses a new client, but not the first one."""
        responds = False
        try:
            async with asyncio.timeout(self.probe_timeout_seconds):
                responds = await server_responds(self.info.hostaddr or self.info.host, self.info.port)
            async with asyncio.timeout(POOLER_TIMEOUT_SECONDS):
                if responds and self.prepare_threshold is None:  # perhaps a pooler
                    async with await AsyncConnection.connect(self.info.dsn, password=self.info.password) as connection:
                        await connection.execute(";")
        except (Error, TimeoutError) as error:
            return responds and LOST_SERVER not in str(error)
        return responds

    def _abandon(self) -> None:
        """Close the connection, and cancel the statement on the server, which would otherwise keep its locks."""
        self._watch.stop()
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        with suppress(OperationalError, NotSupportedError):  # connection lost, or libpq older than 17
            run_in_background(_cancel(self.pgconn.cancel_conn()))
        self.pgconn.finish()

    async def is_alive(self, timeout_seconds: float) -> bool:
        """Return whether the server responds on this connection. Costs a round trip."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.set_autocommit(True)
                await self.execute(";")
                await self.set_autocommit(False)
        except (Error, TimeoutError):
            return False
        return True

    async def read_clock(self) -> tuple[float, float]:
        """Return the time of the server in seconds since 1970, and the seconds until it responds: a round trip."""
        started_at = monotonic()
        await self.set_autocommit(True)
        cursor = await self.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        await self.set_autocommit(False)
        ((seconds,),) = await cursor.fetchall()
        return float(seconds), monotonic() - started_at

    def has_pending_data(self) -> bool:
        """Return whether the socket has data to read. On an idle connection it is usually the server closing it."""
        with DefaultSelector() as selector:
            selector.register(self.pgconn.socket, EVENT_READ)
            return bool(selector.select(timeout=0))


def _resume(gen: PQGen[RV]) -> PQGen[RV]:
    """Continue a generator that waits for the socket. psycopg would send None, which it refuses."""
    try:
        state = gen.send(Ready.NONE)
        while True:
            state = gen.send((yield state))
    except StopIteration as end:
        return cast("RV", end.value)


async def _cancel(connection: PGcancelConn) -> None:
    with suppress(Error):  # a silent server cannot be cancelled
        connection.start()
        await waiting.wait_conn_async(generators.cancel(connection), POLL_INTERVAL_SECONDS, CANCEL_TIMEOUT_SECONDS)


async def server_responds(host: str, port: int) -> bool:
    """Return whether a server or pooler responds to a new client. Needs no password and no connection slot."""
    with suppress(OSError):
        if sys.platform != "win32" and host.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(SSL_REQUEST)
            return bool(await reader.read(1))
        finally:
            writer.transport.abort()
    return False
