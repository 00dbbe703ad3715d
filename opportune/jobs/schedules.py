"""Schedules of jobs: their last runs, and the queueing of their next ones."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.queries.dialects import read_database_time
from opportune.errors import OperatorError
from opportune.jobs.declaration import JobCall, JobDefinition
from opportune.jobs.job_insertion import insert_job
from opportune.jobs.leases import EARLIEST_TIME
from opportune.jobs.models import LastRun

LATE_AFTER = timedelta(minutes=10)
"""A run that starts later than this is late. Workers check the queue once a minute; short outages are ignored."""
ZONE_PREFIX = "CRON_TZ="
SCHEDULE_KEY = "schedule:"
"""Prefix of the keys of scheduled runs."""
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Nicknames of crontab(5)."""
logger = logging.getLogger(__name__)


def next_run_time(schedule: str, after: datetime) -> datetime:
    """Return the next time of a cron expression after a given time, both in UTC.

    The expression is in UTC, or in the zone of a prefix such as `CRON_TZ=Europe/Vienna`, also when clocks change.

    Raises:
        OperatorError: The expression is invalid.
    """
    zone_name = "UTC"
    expression = " ".join(schedule.split())
    if expression.startswith(ZONE_PREFIX):
        zone_name, _, expression = expression.removeprefix(ZONE_PREFIX).partition(" ")
    try:
        start = after.astimezone(ZoneInfo(zone_name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _invalid_schedule(schedule, f"there is no time zone {zone_name!r}") from None
    try:
        times = (time.astimezone(UTC) for time in CronSim(NICKNAMES.get(expression.lower(), expression), start))
        return next(time for time in times if time > after)  # clocks that go back repeat times
    except CronSimError as error:
        raise _invalid_schedule(schedule, str(error)) from error
    except StopIteration:
        raise _invalid_schedule(schedule, "no day matches") from None


def _invalid_schedule(schedule: str, reason: str) -> OperatorError:
    return OperatorError(f"'{schedule}' is not a valid schedule ({reason}). Daily at three is '0 3 * * *'.")


def _check_schedule(schedule: str) -> str:
    if schedule:
        try:
            next_run_time(schedule, utc_now())
        except OperatorError as error:
            raise ValueError(str(error)) from None
    return schedule


CronExpression = Annotated[str, AfterValidator(_check_schedule)]
"""Type of a setting with a schedule. Empty: never."""


async def record_run(session: AsyncSession, name: str, note: str = "", error: str = "") -> None:
    """Store the result of a run: a note about its success, or its error."""
    run = await find_last_run(session, name)
    if error:
        run.failed_at = utc_now()
        run.error = error[:500]
    else:
        run.succeeded_at = utc_now()
        run.note = note[:200]
    session.add(run)


async def find_last_run(session: AsyncSession, name: str) -> LastRun:
    """Return the row of a job, or a new one that is not stored yet."""
    return await session.get(LastRun, name) or LastRun(name=name)


class Scheduler:
    """Queues the next run of a scheduled job after its last one. Missed runs are made up for once."""

    def __init__(self, database: Database, jobs: Mapping[str, JobDefinition[Any]], settings: Settings) -> None:
        self.database = database
        self.jobs = jobs
        self.settings = settings
        self._has_queued_all = False

    async def queue_all(self) -> None:
        """Queue the next run of each job. Only the first call, and one after a failure, has an effect."""
        if not self._has_queued_all:
            await self.queue_runs(dict.fromkeys(self.jobs, EARLIEST_TIME))
            self._has_queued_all = True

    async def queue_runs(self, last_times: Mapping[str, datetime]) -> None:
        """Queue the next run of these jobs after these times, or after the present if it is later."""
        if names := [name for name in last_times if self._next_run_time(name, utc_now())]:
            try:
                async with self.database.writer() as session:
                    for name in names:
                        await self.queue_run(session, name, last_times[name])
            except BaseException:
                self._has_queued_all = False  # the next check of the queue repeats this
                raise

    async def queue_run(self, session: AsyncSession, name: str, last_time: datetime) -> None:
        """Queue the next run after a time or the present, by the clock of the database."""
        if due_at := self._next_run_time(name, max(last_time, await read_database_time(session))):
            key = f"{SCHEDULE_KEY}{name}:{due_at:%Y-%m-%dT%H:%M:%S}"  # only one of several processes queues the run
            await insert_job(session, JobCall(self.jobs[name], ()), key, due_at=due_at)

    def _next_run_time(self, name: str, after: datetime) -> datetime | None:
        definition = self.jobs.get(name)
        try:
            schedule = definition.schedule_in(self.settings) if definition else ""
            return next_run_time(schedule, after) if schedule else None
        except OperatorError as error:
            logger.warning("The schedule of job %s is ignored: %s", name, error)
            return None
