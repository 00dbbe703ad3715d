"""Read-only transactions with a time limit, and errors of the database in one line."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from opportune.cli.development.startup import require_file
from opportune.config.settings import Settings
from opportune.contrib.statement_limits import StatementTooLong, time_limit
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
        async with asyncio.timeout(TIMEOUT_SECONDS), database.reader() as session, time_limit(session, TIMEOUT_SECONDS):
            return await (await session.connection()).run_sync(work)
    except (TimeoutError, StatementTooLong):
        raise too_slow() from None
    except DBAPIError as error:
        raise refused(first_line(error.orig)) from None
    finally:
        await database.dispose()


def too_slow() -> OperatorError:
    return OperatorError(f"The statement took more than {TIMEOUT_SECONDS} seconds and was cancelled.")


def refused(reason: object) -> OperatorError:
    return OperatorError(f"The database refuses the statement: {reason}")


def first_line(error: object) -> str:
    return str(error).partition("\n")[0]
