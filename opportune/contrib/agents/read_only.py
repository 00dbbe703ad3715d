"""Read-only transactions for the tools, with a time limit."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from opportune.cli.development.startup import require_file
from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.errors import OperatorError

T = TypeVar("T")

TIMEOUT_SECONDS = 15


async def read(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run a function in a read-only transaction of the database, which is rolled back.

    Raises:
        OperatorError: The database is missing, refuses a statement, or takes too long. The message is one line.
    """
    database = open_database(settings)
    require_file(database.url)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), database.reader() as session:
            connection = await session.connection()
            if connection.dialect.name == "postgresql":
                await connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{TIMEOUT_SECONDS}s'")
            return await connection.run_sync(work)
    except TimeoutError:
        raise OperatorError(f"The statement took more than {TIMEOUT_SECONDS} seconds and was cancelled.") from None
    except DBAPIError as error:
        raise OperatorError(f"The database refuses the statement: {str(error.orig).partition(chr(10))[0]}") from None
    finally:
        await database.dispose()
