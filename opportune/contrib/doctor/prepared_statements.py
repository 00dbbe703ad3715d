"""Check whether prepared statements survive a transaction, which a pooler in front of PostgreSQL prevents."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from opportune.contrib.doctor.examination import Finding, ServerContext, fault, ok

Driver = psycopg.AsyncConnection[Any]

BACKEND_PID = "SELECT pg_backend_pid()"
DEALLOCATE_STATEMENT = 'DEALLOCATE "_pg3_0"'  # name of psycopg's first prepared statement
SECOND_CLIENT_SECONDS = 1
"""Time to wait for a second connection of the pooler, which may have only one."""


@dataclass(frozen=True)
class Trial:
    is_lost: bool
    """The server forgot the statement, or has another one with the same name."""
    is_swapped: bool
    """The second transaction used another server connection, so there is a pooler."""

    def __str__(self) -> str:
        if self.is_lost:
            return "do not survive a transaction: a pooler shares the server's connections"
        return "survive a transaction, even through a pooler" if self.is_swapped else "survive a transaction"


LOST = Trial(is_lost=True, is_swapped=True)


async def check_prepared(server: ServerContext) -> Finding:
    trial = await _try_prepared(server.engine)
    values = {"survive": not trial.is_lost, "swapped": trial.is_swapped, "used": server.url.prepares}
    if trial.is_lost and server.url.prepares:
        message = "lost between transactions: a pooler is in use although DATABASE_POOLED=false"
        return fault("prepared", message, "Remove DATABASE_POOLED=false.", **values)
    use = "the site uses them (DATABASE_POOLED=false)" if server.url.prepares else "the site does not need them"
    return ok("prepared", f"{trial}; {use}", **values)


async def _try_prepared(engine: AsyncEngine) -> Trial:
    """Prepare a statement and use it again while a second client occupies its server connection.

    A URL does not always reveal a pooler, which forgets prepared statements after a transaction.
    """
    async with engine.connect() as connection, engine.connect() as second_connection:
        client = await _driver(connection)
        second_client = await _driver(second_connection)
        client.prepare_threshold = 0
        try:
            first_pid = await _backend_pid(client)
        except DuplicatePreparedStatement:
            return LOST
        await second_client.execute(BACKEND_PID, prepare=False)
        return await _reuse_statement(client, second_client, first_pid)


async def _reuse_statement(client: Driver, second_client: Driver, first_pid: int) -> Trial:
    second_pid = asyncio.create_task(_backend_pid(client))
    await asyncio.wait({second_pid}, timeout=SECOND_CLIENT_SECONDS)
    if second_pid.done() and second_pid.exception():
        with suppress(psycopg.DatabaseError):  # the second client may have another server connection
            await second_client.execute(DEALLOCATE_STATEMENT, prepare=False)
    await second_client.rollback()
    try:
        is_swapped = await second_pid != first_pid
    except (DuplicatePreparedStatement, InvalidSqlStatementName):
        return LOST
    with suppress(psycopg.DatabaseError):  # a pooler would give the connection with the statement to other clients
        await client.execute(DEALLOCATE_STATEMENT, prepare=False)
    return Trial(is_lost=False, is_swapped=is_swapped)


async def _backend_pid(client: Driver) -> int:
    """Return the process id of the server connection used by a transaction."""
    row = await (await client.execute(BACKEND_PID, prepare=True)).fetchone()
    await client.commit()  # after a rollback psycopg would forget its prepared statements
    return int(row[0]) if row else 0


async def _driver(connection: AsyncConnection) -> Driver:
    return cast("Driver", (await connection.get_raw_connection()).driver_connection)
