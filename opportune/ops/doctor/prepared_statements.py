"""Test whether prepared statements survive a transaction, because a URL does not always reveal a pooler."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from psycopg import AsyncConnection, DatabaseError
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from sqlalchemy.ext.asyncio import AsyncConnection as Checkout
from sqlalchemy.ext.asyncio import AsyncEngine

Driver = AsyncConnection[Any]

BACKEND_PID = "SELECT pg_backend_pid()"
DEALLOCATE_STATEMENT = 'DEALLOCATE "_pg3_0"'  # name of psycopg's first prepared statement
RIVAL_TIMEOUT_SECONDS = 1
"""Time to wait for a second connection of the pooler, which may have only one."""


@dataclass(frozen=True)
class Trial:
    lost: bool
    """The server forgot the statement, or has another one with the same name."""
    swapped: bool
    """The second transaction used another server connection, so there is a pooler."""


async def try_prepared(engine: AsyncEngine) -> Trial:
    """Prepare a statement and use it again while another client occupies its server connection."""
    async with engine.connect() as one, engine.connect() as other:
        client, rival = await _driver(one), await _driver(other)
        client.prepare_threshold = 0
        try:
            first = await _backend_pid(client)
        except DuplicatePreparedStatement:
            return Trial(lost=True, swapped=True)
        await rival.execute(BACKEND_PID, prepare=False)
        return await _use_again(client, rival, first)


async def _use_again(client: Driver, rival: Driver, first: int) -> Trial:
    again = asyncio.create_task(_backend_pid(client))
    await asyncio.wait({again}, timeout=RIVAL_TIMEOUT_SECONDS)
    if again.done() and again.exception():
        with suppress(DatabaseError):  # the rival may have another server connection
            await rival.execute(DEALLOCATE_STATEMENT, prepare=False)
    await rival.rollback()
    try:
        swapped = await again != first
    except (DuplicatePreparedStatement, InvalidSqlStatementName):
        return Trial(lost=True, swapped=True)
    with suppress(DatabaseError):  # a pooler would give the connection with the statement to other clients
        await client.execute(DEALLOCATE_STATEMENT, prepare=False)
    return Trial(lost=False, swapped=swapped)


async def _backend_pid(client: Driver) -> int:
    """Return the process id of the server connection used by a transaction."""
    cursor = await client.execute(BACKEND_PID, prepare=True)
    row = await cursor.fetchone()
    await client.commit()  # after a rollback psycopg would forget its prepared statements
    return int(row[0]) if row else 0


async def _driver(checkout: Checkout) -> Driver:
    return cast("Driver", (await checkout.get_raw_connection()).driver_connection)
