"""psycopg's own steps of waiting: a silent server is found out in seconds, and a statement that nobody awaits is ended.

The public way is `opportune.db.drivers.psycopg_timeouts.TimedConnection`, which knows a statement's limit alone.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from psycopg import AsyncConnection, Error, IsolationLevel, OperationalError, generators, waiting
from psycopg.abc import RV, PQGen
from psycopg.errors import NotSupportedError, _WaitTimeout
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn

from opportune.config.speedups import require
from opportune.db.drivers.psycopg_timeouts import POLL_INTERVAL_SECONDS, TimedConnection, server_responds
from opportune.db.timeouts import run_in_background

require(AsyncConnection, "_set_autocommit_gen", "_set_isolation_level_gen")

CANCEL_TIMEOUT_SECONDS = 1
"""Seconds to tell the server that nobody waits for a statement any more."""


class WatchedConnection(TimedConnection):
    """Cut when its server is silent. A statement that takes long is left alone while the server shows signs of life."""

    silence: float = 2.5
    """Seconds without an answer before the server is asked for a sign of life."""
    probe_timeout_seconds: float = 1.5
    """Seconds for that."""

    @classmethod
    async def connect_with_retry(cls, *arguments: Any, limit: float, **options: Any) -> Self:
        connection = await super().connect_with_retry(*arguments, limit=limit, **options)
        connection.silence = min(cls.silence, limit)
        return connection

    # A pool's connection changes these before and after each statement without a transaction, and nothing is sent.

    async def set_autocommit(self, value: bool) -> None:
        await self._at_once(self._set_autocommit_gen(value))

    async def set_isolation_level(self, value: IsolationLevel | None) -> None:
        await self._at_once(self._set_isolation_level_gen(value))

    async def _at_once(self, gen: PQGen[None]) -> None:
        if self.pgconn.pipeline_status or self.lock.locked():
            async with self.lock:
                await self.wait(gen)
        else:
            deque(gen, maxlen=0)

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


async def _cancel(connection: PGcancelConn) -> None:
    with suppress(Error):  # a silent server finds out by itself
        connection.start()
        await waiting.wait_conn_async(generators.cancel(connection), POLL_INTERVAL_SECONDS, CANCEL_TIMEOUT_SECONDS)
