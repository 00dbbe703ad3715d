"""Time limits of statements."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

INSTRUCTIONS_PER_CHECK = 100_000
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
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"SET LOCAL statement_timeout = {seconds * 1000:.0f}")
    try:
        await connection.run_sync(_interrupt_sqlite, lambda: monotonic() > deadline)
        yield
    except DBAPIError as error:
        is_interruption = getattr(error.orig, "sqlstate", None) == QUERY_CANCELED or str(error.orig) == "interrupted"
        if monotonic() < deadline or not is_interruption:
            raise
        raise StatementTooLong from error
    finally:
        await connection.run_sync(_interrupt_sqlite, None)


def _interrupt_sqlite(connection: Connection, is_over: Callable[[], bool] | None) -> None:
    """Let SQLite stop statements when a function returns true. PostgreSQL has a timeout."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.dbapi_connection
        driver.run_async(lambda driver: driver.set_progress_handler(is_over, INSTRUCTIONS_PER_CHECK))
