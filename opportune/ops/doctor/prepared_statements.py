"""Whether prepared statements outlive a transaction here: tried, since addresses do not always tell of a pooler."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from psycopg import AsyncConnection, DatabaseError
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from sqlalchemy.ext.asyncio import AsyncConnection as Checkout
from sqlalchemy.ext.asyncio import AsyncEngine

Driver = AsyncConnection[Any]

WHERE = "SELECT pg_backend_pid()"
DEALLOCATE_STATEMENT = 'DEALLOCATE "_pg3_0"'  # the name of psycopg's first
RIVAL_TIMEOUT_SECONDS = 1
"""Seconds to wait for another connection of the pooler, which may have only one."""


@dataclass(frozen=True)
class Trial:
    lost: bool
    """The server did not know the statement any more, or knew another by its name."""
    swapped: bool
    """The second transaction came to another connection of the server: a pooler shares them."""


async def try_prepared(engine: AsyncEngine) -> Trial:
    """Prepare a statement, and use it in a later transaction while another client holds the connection it was on."""
    async with engine.connect() as one, engine.connect() as other:
        client, rival = await _driver(one), await _driver(other)
        client.prepare_threshold = 0
        try:
            first = await _where(client)
        except DuplicatePreparedStatement:
            return Trial(lost=True, swapped=True)
        await rival.execute(WHERE, prepare=False)
        return await _use_again(client, rival, first)


async def _use_again(client: Driver, rival: Driver, first: int) -> Trial:
    again = asyncio.create_task(_where(client))
    await asyncio.wait({again}, timeout=RIVAL_TIMEOUT_SECONDS)
    if again.done() and again.exception():
        with suppress(DatabaseError):  # the rival may be on another connection than the first
            await rival.execute(DEALLOCATE_STATEMENT, prepare=False)
    await rival.rollback()
    try:
        swapped = await again != first
    except (DuplicatePreparedStatement, InvalidSqlStatementName):
        return Trial(lost=True, swapped=True)
    with suppress(DatabaseError):  # a pooler with a single connection would hand it to the next client
        await client.execute(DEALLOCATE_STATEMENT, prepare=False)
    return Trial(lost=False, swapped=swapped)


async def _where(client: Driver) -> int:
    """The server's process that a transaction comes to."""
    cursor = await client.execute(WHERE, prepare=True)
    row = await cursor.fetchone()
    await client.commit()  # at a rollback psycopg would forget what it has prepared
    return int(row[0]) if row else 0


async def _driver(checkout: Checkout) -> Driver:
    return cast("Driver", (await checkout.get_raw_connection()).driver_connection)
