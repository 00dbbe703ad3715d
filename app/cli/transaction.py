"""A piece of work in one transaction on the configured database, for commands."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.faults import explain
from app.core.db.migrations.state import pending
from app.core.db.opening import open_database
from app.core.errors import OperatorError
from app.core.settings import Settings, get_settings
from app.installed import NAMES

R = TypeVar("R")


def in_transaction(work: Callable[[AsyncSession], Awaitable[R]]) -> R:
    """Do the work and commit it.

    Raises:
        OperatorError: the database is out of reach or not migrated, or what the work itself complains about.
    """
    settings = get_settings()
    if pending(settings, NAMES):
        raise OperatorError("The database lacks migrations. Run: python3 oppman.py migrate")
    # psycopg does not work on the loop that Windows has by default.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop if sys.platform == "win32" else None) as runner:
        return runner.run(_do(settings, work))


async def _do(settings: Settings, work: Callable[[AsyncSession], Awaitable[R]]) -> R:
    database = open_database(settings)
    try:
        async with database.writer() as session:
            return await work(session)
    except (DBAPIError, PoolTimeoutError) as error:
        raise OperatorError(explain(error, database.url)) from error
    finally:
        await database.dispose()
