"""Bus through PostgreSQL's LISTEN and NOTIFY."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from sqlalchemy import NullPool, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from opportune.db.bus.base import Bus
from opportune.db.drivers.pool import read_password_on_connect
from opportune.db.url.database_url import DatabaseUrl

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CHANNEL = "opportune"
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""The operating system notices a lost connection within a minute. A statement would keep a database awake."""


class PostgreSQLBus(Bus):
    """Sends with a connection of the pool. Receives on a connection without a pooler, because poolers drop LISTEN."""

    name = "PostgreSQL"

    def __init__(self, engine: AsyncEngine, direct_url: DatabaseUrl) -> None:
        super().__init__()
        self._engine = engine
        self._direct_url = direct_url

    async def send(self, message: str) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(select(func.pg_notify(CHANNEL, message)))
            await connection.commit()

    async def receive(self) -> AsyncIterator[str]:
        url = self._direct_url
        arguments = {**self._direct_url.arguments, **KEEPALIVES}
        engine = create_async_engine(
            url.url, poolclass=NullPool, connect_args=arguments, isolation_level="AUTOCOMMIT", hide_parameters=True
        )
        read_password_on_connect(engine.sync_engine, url, is_async=True)
        async with engine.connect() as connection:
            await connection.execute(text(f"LISTEN {CHANNEL}"))
            raw_connection = await connection.get_raw_connection()
            listener = cast("AsyncConnection", raw_connection.driver_connection)
            yield ""
            while True:
                await _wait_until_readable(listener.fileno())
                async for notification in listener.notifies(timeout=0):  # raises if the connection is lost
                    yield notification.payload


async def _wait_until_readable(file_number: int) -> None:
    """Wait for data without a timer. `notifies` itself would wake up ten times a second."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(file_number, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(file_number)
