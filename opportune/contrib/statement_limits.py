"""Time limits of statements."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

INSTRUCTIONS_PER_CHECK = 100_000
"""Instructions of SQLite's virtual machine between two checks of the time limit."""
QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that PostgreSQL has stopped."""


class StatementTooLong(Exception):
    """A statement took more than its time limit."""


@asynccontextmanager
async def time_limit(session: AsyncSession, seconds: float) -> AsyncIterator[None]:
    """Stop a statement of this block after some seconds. The session cannot be used afterwards.

    PostgreSQL measures each statement of the block, and SQLite the time since the beginning of the block.

    Raises:
        StatementTooLong: A statement was stopped.
    """
    connection = await session.connection()
    deadline = monotonic() + seconds
    try:
        await connection.run_sync(_set_limit, seconds)
        yield
    except DBAPIError as error:
        is_interruption = getattr(error.orig, "sqlstate", None) == QUERY_CANCELED or str(error.orig) == "interrupted"
        if monotonic() < deadline or not is_interruption:
            raise
        raise StatementTooLong from error
    finally:
        await connection.run_sync(_set_limit, None)


@contextmanager
def time_limit_within(connection: Connection, seconds: float) -> Iterator[None]:
    """Stop statements of this block like `time_limit`, within `run_sync`. The error is a DBAPIError."""
    try:
        _set_limit(connection, seconds)
        yield
    finally:
        _set_limit(connection, None)


def _set_limit(connection: Connection, seconds: float | None) -> None:
    """Set or remove a limit. That of PostgreSQL ends with the transaction or the savepoint."""
    if connection.dialect.name == "sqlite":
        deadline = monotonic() + (seconds or 0)
        is_over = None if seconds is None else lambda: monotonic() > deadline
        driver: Any = connection.connection.dbapi_connection
        driver.run_async(lambda driver: driver.set_progress_handler(is_over, INSTRUCTIONS_PER_CHECK))
    elif seconds is not None:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {seconds * 1000:.0f}")
