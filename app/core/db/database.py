"""The database behind one abstract class, made when the application starts and never at import."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.core.db.faults import explain
from app.core.db.url import DatabaseURL
from app.core.db.waiting import within
from app.core.errors import OperatorError
from app.core.settings import Settings


class Database(ABC):
    """Gives sessions: `writer()` commits when its block ends well, `reader()` cannot write."""

    ping_timeout: ClassVar[float] = 4

    def __init__(self, url: DatabaseURL, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.engine = self._writing_engine()
        self.reading_engine = self._reading_engine()
        self._writing = async_sessionmaker(self.engine, expire_on_commit=False)
        self._reading = async_sessionmaker(self.reading_engine, expire_on_commit=False, autoflush=False)

    @abstractmethod
    def _writing_engine(self) -> AsyncEngine: ...

    @abstractmethod
    def _reading_engine(self) -> AsyncEngine: ...

    async def setup(self) -> None:  # noqa: B027 - not every kind has something to prepare
        """Prepare what the first session needs."""

    async def dispose(self) -> None:
        await self.reading_engine.dispose()
        await self.engine.dispose()

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are committed when the block ends, and rolled back when it raises."""
        async with self._writing() as session:
            yield session
            await session.commit()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncSession]:
        """A session on one snapshot, which the database itself keeps from writing."""
        async with self._reading() as session:
            yield session

    async def ping(self) -> None:
        """Ask writer and reader for a sign of life, without taking a lock.

        Raises:
            OperatorError: one of them does not answer; the message says what to do.
        """
        try:
            await within(self.ping_timeout, self._select_one())
        except (TimeoutError, DBAPIError, PoolTimeoutError) as error:
            raise OperatorError(explain(error, self.url)) from error

    async def _select_one(self) -> None:
        for engine in (self.engine, self.reading_engine):
            async with engine.connect() as connection:
                await connection.execution_options(sqlite_begin="BEGIN")
                await connection.execute(text("select 1"))
