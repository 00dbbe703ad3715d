"""A replica that reads for the writer's server, and the times when it cannot."""

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
"""Whether what runs here reads what was just written, and so not from a replica, which lags behind."""

CONNECTION_ERRORS = (DBAPIError, PoolTimeoutError)
"""What a server that cannot be reached, or not as we are told to, gives instead of a connection."""

POOL_IS_FULL = "3o7r"
"""SQLAlchemy's code for that error."""


class Replica:
    """Gives sessions while it answers. When it has failed once it is asked in the background, and not by requests."""

    retry_delay_seconds: float = 2
    """Seconds between two attempts at a replica that is away."""

    def __init__(self, engine: AsyncEngine, sessions: Callable[[], AsyncSession], url: DatabaseURL) -> None:
        self.engine = engine
        self.url = url
        self._sessions = sessions
        self._coming_back: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        return self._coming_back is not None

    @asynccontextmanager
    async def reader(self, otherwise: Callable[[], AsyncSession]) -> AsyncIterator[AsyncSession]:
        """A session here, or the other one if the replica does not answer."""
        async with await self._connected() or otherwise() as session:
            try:
                yield session
            except DBAPIError as error:
                if error.connection_invalidated and session.bind is self.engine:
                    self._miss(error)  # too late for this one, but the next need not find out as slowly
                raise

    async def _connected(self) -> AsyncSession | None:
        session = self._sessions()
        try:
            await session.connection()
        except CONNECTION_ERRORS as error:
            await session.close()
            if isinstance(error, PoolTimeoutError) and error.code == POOL_IS_FULL:
                raise  # it is busy: the writer's server could not do its work as well
            self._miss(error)
            return None
        return session

    async def dispose(self) -> None:
        await cancel_and_wait(self._coming_back)
        await dispose(self.engine)

    def _miss(self, error: Exception) -> None:
        if not self.is_away:  # several requests may find out together
            logger.warning("The replica is away, so the writer's server reads for it: %s", explain(error, self.url))
            self._coming_back = asyncio.create_task(self._come_back(), name="wait for the replica")

    async def _come_back(self) -> None:
        try:
            while True:
                await asyncio.sleep(self.retry_delay_seconds)
                if await self._answers():
                    break
        finally:
            self._coming_back = None
        logger.warning("The replica is back.")

    async def _answers(self) -> bool:
        try:
            async with self.engine.connect():
                return True
        except CONNECTION_ERRORS:
            return False
