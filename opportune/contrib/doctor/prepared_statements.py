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
    is_lost: bool
    """The server forgot the statement, or has another one with the same name."""
    is_swapped: bool
    """The second transaction used another server connection, so there is a pooler."""


async def try_prepared(engine: AsyncEngine) -> Trial:
    """Prepare a statement and use it again while another client occupies its server connection."""
    async with engine.connect() as client_checkout, engine.connect() as rival_checkout:
        client, rival = await _driver(client_checkout), await _driver(rival_checkout)
        client.prepare_threshold = 0
        try:
            first_pid = await _backend_pid(client)
        except DuplicatePreparedStatement:
            return Trial(is_lost=True, is_swapped=True)
        await rival.execute(BACKEND_PID, prepare=False)
        return await _reuse_statement(client, rival, first_pid)


async def _reuse_statement(client: Driver, rival: Driver, first_pid: int) -> Trial:
    second_pid = asyncio.create_task(_backend_pid(client))
    await asyncio.wait({second_pid}, timeout=RIVAL_TIMEOUT_SECONDS)
    if second_pid.done() and second_pid.exception():
        with suppress(DatabaseError):  # the rival may have another server connection
            await rival.execute(DEALLOCATE_STATEMENT, prepare=False)
    await rival.rollback()
    try:
        is_swapped = await second_pid != first_pid
    except (DuplicatePreparedStatement, InvalidSqlStatementName):
        return Trial(is_lost=True, is_swapped=True)
    with suppress(DatabaseError):  # a pooler would give the connection with the statement to other clients
        await client.execute(DEALLOCATE_STATEMENT, prepare=False)
    return Trial(is_lost=False, is_swapped=is_swapped)


async def _backend_pid(client: Driver) -> int:
    """Return the process id of the server connection used by a transaction."""
    cursor = await client.execute(BACKEND_PID, prepare=True)
    row = await cursor.fetchone()
    await client.commit()  # after a rollback psycopg would forget its prepared statements
    return int(row[0]) if row else 0


async def _driver(checkout: Checkout) -> Driver:
    return cast("Driver", (await checkout.get_raw_connection()).driver_connection)
