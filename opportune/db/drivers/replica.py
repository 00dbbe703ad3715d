"""Read replica with fallback to the primary."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from opportune.db.drivers.pool import dispose
from opportune.db.errors import explain
from opportune.db.url.database_url import DatabaseURL
from opportune.runtime.tasks import cancel_and_wait

logger = logging.getLogger(__name__)

reads_fresh: ContextVar[bool] = ContextVar("reads_fresh", default=False)
"""Whether the current task reads from the primary, because the replica may lack the latest changes."""

CONNECTION_ERRORS = (DBAPIError, PoolTimeoutError)
"""Errors of a server that cannot be reached or refuses the connection."""

POOL_IS_FULL = "3o7r"
"""SQLAlchemy's code of the error for an exhausted pool."""


class Replica:
    """Creates sessions on a read replica. After a failure a background task waits until the replica responds again."""

    retry_delay_seconds: float = 2
    """Seconds between two attempts to reach an unavailable replica."""

    def __init__(self, engine: AsyncEngine, sessions: Callable[[], AsyncSession], url: DatabaseURL) -> None:
        self.engine = engine
        self.url = url
        self._sessions = sessions
        self._reconnecting: asyncio.Task[None] | None = None

    @property
    def is_unavailable(self) -> bool:
        return self._reconnecting is not None

    @asynccontextmanager
    async def reader(self, fallback: Callable[[], AsyncSession]) -> AsyncIterator[AsyncSession]:
        """Open a session on the replica, or a fallback session if the replica does not respond."""
        async with await self._connect() or fallback() as session:
            try:
                yield session
            except DBAPIError as error:
                if error.connection_invalidated and session.bind is self.engine:
                    self._mark_unavailable(error)  # this request fails, the next ones use the fallback
                raise

    async def _connect(self) -> AsyncSession | None:
        session = self._sessions()
        try:
            await session.connection()
        except CONNECTION_ERRORS as error:
            await session.close()
            if isinstance(error, PoolTimeoutError) and error.code == POOL_IS_FULL:
                raise  # the replica is busy, and the primary could not take its load as well
            self._mark_unavailable(error)
            return None
        return session

    async def dispose(self) -> None:
        await cancel_and_wait(self._reconnecting)
        await dispose(self.engine)

    def _mark_unavailable(self, error: Exception) -> None:
        if not self.is_unavailable:  # several requests may fail together
            logger.warning("The replica is unavailable; reading from the primary: %s", explain(error, self.url))
            self._reconnecting = asyncio.create_task(self._reconnect(), name="wait for the replica")

    async def _reconnect(self) -> None:
        try:
            while True:
                await asyncio.sleep(self.retry_delay_seconds)
                if await self._responds():
                    break
        finally:
            self._reconnecting = None
        logger.warning("The replica is available again.")

    async def _responds(self) -> bool:
        try:
            async with self.engine.connect():
                return True
        except CONNECTION_ERRORS:
            return False
