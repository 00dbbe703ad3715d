"""Bus through PostgreSQL's LISTEN and NOTIFY."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from sqlalchemy import NullPool, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from opportune.db.bus.base import Bus
from opportune.db.url.database_url import DatabaseURL

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CHANNEL = "opportune"
CHECK_INTERVAL_SECONDS = 60.0
"""Seconds without a message after which the connection is checked."""


class PostgreSQLBus(Bus):
    """Sends with a connection of the pool. Receives on a connection without a pooler, because poolers drop LISTEN."""

    name = "PostgreSQL"

    def __init__(self, engine: AsyncEngine, direct_url: DatabaseURL) -> None:
        super().__init__()
        self._engine = engine
        self._direct_url = direct_url

    async def send(self, message: str) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(select(func.pg_notify(CHANNEL, message)))
            await connection.commit()

    async def receive(self) -> AsyncIterator[str]:
        url = self._direct_url
        engine = create_async_engine(
            url.url, poolclass=NullPool, connect_args=url.arguments, isolation_level="AUTOCOMMIT", hide_parameters=True
        )
        async with engine.connect() as connection:
            await connection.execute(text(f"LISTEN {CHANNEL}"))
            raw_connection = await connection.get_raw_connection()
            listener = cast("AsyncConnection", raw_connection.driver_connection)
            yield ""
            while True:
                async for notification in listener.notifies(timeout=CHECK_INTERVAL_SECONDS):
                    yield notification.payload
                await connection.execute(text("SELECT 1"))  # raises if the connection is lost
