"""SQLAlchemy's pool from the inside: one whose users get a connection that works, or an error, in time.

The public way is SQLAlchemy's own pool with its pre-ping, which costs a round trip each time.
"""

import asyncio
from time import time
from typing import Protocol, cast

from sqlalchemy import AsyncAdaptedQueuePool, QueuePool
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.pool.base import _ConnectionRecord as Record
from sqlalchemy.util import await_only, greenlet_spawn

from opportune.config.speedups import require

require(AsyncAdaptedQueuePool, "_do_get", "_do_return_conn")

TRUSTED_IDLE_SECONDS = 1
"""Seconds after its use in which a connection counts as alive unless its socket says otherwise."""
PING_TIMEOUT_SECONDS = 1.5
"""Seconds for a connection that was idle for longer to show that it lives."""
CHECKOUT_MARGIN_SECONDS = 0.25
"""Seconds beyond the wait for a place in the pool, so that the pool's own error comes first: it tells more."""


class Pooled(Protocol):
    """What the driver's connections can do: `TimedConnection`."""

    async def is_alive(self, seconds: float) -> bool: ...

    def has_pending_data(self) -> bool: ...


class TimedPool(AsyncAdaptedQueuePool):
    """Looks at each connection before it gives it away, and asks the server only about those that were idle.

    SQLAlchemy's own pre-ping costs a round trip each time, and waits for ever when the server is silent.
    """

    __module__ = AsyncAdaptedQueuePool.__module__  # names its log: SQLAlchemy's, where only warnings are shown

    def _do_get(self) -> Record:
        record = cast("Record", self._pool.get_nowait()) if self.checkedin() else None
        if record is not None and self._is_trusted(record):
            return record
        return await_only(self._in_time(record))

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        record.info["returned"] = time()
        super()._do_return_conn(record)

    async def _in_time(self, record: Record | None) -> Record:
        try:
            async with asyncio.timeout(self.timeout() + CHECKOUT_MARGIN_SECONDS):
                return await greenlet_spawn(self._make_sure, record)
        except TimeoutError:
            raise PoolTimeoutError("the server is silent") from None

    def _make_sure(self, record: Record | None) -> Record:
        record = record or cast("Record", super()._do_get())
        try:
            if not self._is_trusted(record) and not self._lives(record):
                self._invalidate_time = time()  # what else lies here is as old
            record.get_connection()
        except BaseException as error:
            record.invalidate(error)
            self._do_return_conn(record)
            raise
        return record

    def _is_trusted(self, record: Record) -> bool:
        connection: Pooled | None = record.driver_connection
        if connection is None:
            return False
        used: float = record.info.get("returned", record.starttime)
        return time() - used < TRUSTED_IDLE_SECONDS and not connection.has_pending_data()

    def _lives(self, record: Record) -> bool:
        connection: Pooled | None = record.driver_connection
        return connection is None or await_only(connection.is_alive(PING_TIMEOUT_SECONDS))


def count_waiting(pool: QueuePool) -> int:
    """Return how many callers wait for a connection; SQLAlchemy has no public counter."""
    queue = vars(getattr(pool, "_pool", None) or object).get("_queue")
    return sum(not getter.done() for getter in getattr(queue, "_getters", ()))


def max_connections(pool: QueuePool) -> int:
    """Return how many connections the pool may open."""
    return pool.size() + max(0, getattr(pool, "_max_overflow", 0))
