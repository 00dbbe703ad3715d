"""Transactions of commands on the configured database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.events.kinds import add_event_kinds
from opportune.cli.loop import open_event_loop
from opportune.config.settings import Settings, get_settings
from opportune.db.errors import DATABASE_ERRORS, explain
from opportune.db.factory import open_database
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.errors import FieldErrors, OperatorError
from opportune.features.core import all_features, installed_hooks
from opportune.jobs.service import DatabaseJobQueue, declared_jobs, open_services
from opportune.project.installed import installed_features, installed_names
from opportune.storage import open_storage

R = TypeVar("R")


def in_transaction(work: Callable[[AsyncSession], Awaitable[R]]) -> R:
    """Run a function in a transaction on the site's database, and commit.

    Args:
        work: Async function that gets the session.

    Returns:
        The result of the function.

    Raises:
        OperatorError: The database is not available or not migrated, or the function raised it.
    """
    return with_jobs(lambda _jobs, session: work(session))


def with_jobs(work: Callable[[DatabaseJobQueue, AsyncSession], Awaitable[R]]) -> R:
    """Run a function with the job queue and a session, and commit. With JOBS=inline, run the queued jobs."""
    settings = migrated_settings()
    with open_event_loop() as loop:
        return loop.run(_run_in_transaction(settings, work))


def migrated_settings() -> Settings:
    """Return the settings, if the database is available and has all migrations."""
    settings = get_settings()
    if MigrationGraph(installed_names()).pending(read_revisions_of_site(settings)):
        raise OperatorError("The database is not migrated. Run: python3 oppman.py migrate")
    return settings


async def _run_in_transaction(settings: Settings, work: Callable[[DatabaseJobQueue, AsyncSession], Awaitable[R]]) -> R:
    async with open_job_queue(settings) as jobs:
        try:
            async with jobs.database.writer() as session:
                result = await work(jobs, session)
            await jobs.drain()
            return result
        except DATABASE_ERRORS as error:
            raise OperatorError(explain(error, jobs.database.url)) from error
        except FieldErrors as error:  # raised by a hook that refuses the change
            raise OperatorError(str(error)) from error


@asynccontextmanager
async def open_job_queue(settings: Settings) -> AsyncIterator[DatabaseJobQueue]:
    """Open the job queue and the database, without the site."""
    features = all_features(installed_features())
    add_event_kinds(features)
    async with open_database(settings) as database:
        services = open_services(settings, database, open_storage(settings, database), features)
        try:
            with installed_hooks(features):
                yield DatabaseJobQueue(services, declared_jobs(features))
        finally:
            await services.close()
