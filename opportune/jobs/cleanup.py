"""Daily deletion of old rows, which features declare in `cleanups`."""

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import literal_column
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.errors import DATABASE_ERRORS, is_outage
from opportune.db.queries.batches import delete_in_batches, update_in_batches
from opportune.db.queries.dialects import read_database_time
from opportune.errors import OperatorError
from opportune.feature import Cleanup, Feature
from opportune.jobs.context import JobContext
from opportune.jobs.declaration import job
from opportune.jobs.execution import error_summary
from opportune.jobs.models import SCHEDULED, Job

MAX_CLOCK_SECONDS = 300
"""Seconds by which the clocks of this machine and the database may differ."""
REMOVED_SCHEDULE_DAYS = 7
"""Days after which the run of a schedule is deleted that no installed feature declares."""
logger = logging.getLogger(__name__)


@job("jobs.clean_up", schedule="17 3 * * *")
async def clean_up_daily(run: JobContext) -> None:
    features: Sequence[Feature] = run.features
    declared = [cleanup for feature in features for cleanup in feature.jobs.cleanups]
    await clean_up(run.database, run.settings, [_cleanup_of_removed_schedules(features), *declared])


async def clean_up(database: Database, settings: Settings, cleanups: Iterable[Cleanup]) -> list[int]:
    """Run cleanups and return the number of rows of each. If one fails, the others run before the error is raised.

    Raises:
        DBAPIError: The database became unavailable. The remaining cleanups did not run.
        OperatorError: Cleanups failed, or the clock of this machine or the database is wrong, for which none runs.
    """
    await check_clock(database)
    counts = list[int]()
    failures = list[str]()
    for cleanup in cleanups:
        try:
            counts.append(await _run(database, settings, cleanup))
        except Exception as error:
            if is_outage(error):
                raise
            if not isinstance(error, DATABASE_ERRORS):
                logger.exception("cleanup of %s", cleanup.model.__tablename__)
            failures.append(f"{cleanup.model.__tablename__}: {error_summary(error)}")
    if failures:
        raise OperatorError(f"Old rows could not be deleted. {' '.join(failures)}")
    return counts


async def check_clock(database: Database) -> None:
    """Raise OperatorError if one of the clocks is wrong, so that rows could seem older than they are."""
    async with database.reader(fresh=True) as session:
        seconds = (await read_database_time(session)).timestamp() - time.time()
    if abs(seconds) > MAX_CLOCK_SECONDS:
        raise OperatorError(
            f"No old rows were deleted, because the clocks of this machine and the database differ by {seconds:.0f} s. "
            "Synchronize both with NTP."
        )


async def _run(database: Database, settings: Settings, cleanup: Cleanup) -> int:
    condition = cleanup.condition(settings)
    if condition is None:
        return 0
    if cleanup.values:
        return await update_in_batches(database, cleanup.model, condition, cleanup.values)
    return await delete_in_batches(database, cleanup.model, condition)


def _cleanup_of_removed_schedules(features: Iterable[Feature]) -> Cleanup:
    """Return the cleanup of runs whose scheduled job no feature declares. No worker would ever start them."""
    names = [job.name for feature in features for job in feature.jobs.definitions]
    cutoff = utc_now() - timedelta(days=REMOVED_SCHEDULE_DAYS)
    is_removed = literal_column(f"({SCHEDULED})") & col(Job.name).not_in(names) & (col(Job.due_at) <= cutoff)
    return Cleanup(Job, lambda _: is_removed)
