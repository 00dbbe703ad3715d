"""A pool whose users never wait for a silent server."""

from sqlalchemy import AsyncAdaptedQueuePool, PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.util import await_only, greenlet_spawn

from app.core.db.waiting import within

FOR_CONTACT = 1
"""Seconds beyond the wait for a place in the pool, so that the pool's own error comes first: it tells more."""


class TimedPool(AsyncAdaptedQueuePool):
    """Gives a connection in time or an error, also when the server takes what we send and stays silent.

    SQLAlchemy waits for ever to hear whether a connection from the pool still lives.
    """

    def connect(self) -> PoolProxiedConnection:
        try:
            return await_only(within(self.timeout() + FOR_CONTACT, greenlet_spawn(super().connect), _give_back))
        except TimeoutError:
            raise PoolTimeoutError("the server is silent") from None


async def _give_back(connection: PoolProxiedConnection) -> None:
    await greenlet_spawn(connection.close)
