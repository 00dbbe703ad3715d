"""A piece of work in one transaction on the configured database, for commands."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.loop import runner
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
    settings = migrated_settings()
    with runner() as loop:
        return loop.run(_do(settings, work))


def migrated_settings() -> Settings:
    """The settings, where their database has every migration.

    Raises:
        OperatorError: it lacks some, or is out of reach.
    """
    settings = get_settings()
    if pending(settings, NAMES):
        raise OperatorError("The database lacks migrations. Run: python3 oppman.py migrate")
    return settings


async def _do(settings: Settings, work: Callable[[AsyncSession], Awaitable[R]]) -> R:
    database = open_database(settings)
    try:
        async with database.writer() as session:
            return await work(session)
    except (DBAPIError, PoolTimeoutError) as error:
        raise OperatorError(explain(error, database.url)) from error
    finally:
        await database.dispose()
