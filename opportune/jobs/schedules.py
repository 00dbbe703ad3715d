"""Schedules of jobs, and their state: last run, next run, and whether it is late."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator
from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.jobs.declaration import JobDefinition
from opportune.jobs.models import SCHEDULED, Job, JobState, LastRun

LATE_AFTER = timedelta(minutes=10)
"""A run that starts later than this is late. Workers check the queue once a minute; short outages are ignored."""
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


@dataclass(frozen=True)
class Schedule:
    """State of a scheduled job."""

    name: str
    last_run: LastRun
    due_at: datetime | None
    """None if no run is queued."""
    is_running: bool

    def is_late(self, now: datetime) -> bool:
        return not self.is_running and self.due_at is not None and now - self.due_at > LATE_AFTER


def scheduled_names(jobs: Iterable[JobDefinition[Any]], settings: Settings) -> list[str]:
    """Return the names of jobs with a schedule."""
    return [job.name for job in jobs if job.schedule_in(settings)]


async def read_schedules(session: AsyncSession, names: Iterable[str]) -> list[Schedule]:
    """Read the state of scheduled jobs by their names."""
    names = [*names]
    runs = select(col(Job.name), col(Job.state), func.min(col(Job.due_at))).group_by(col(Job.name), col(Job.state))
    rows = await session.execute(runs.where(col(Job.name).in_(names), literal_column(f"({SCHEDULED})")))
    due_times = {(name, JobState(state)): due_at for name, state, due_at in rows}
    stored_runs = await session.scalars(select(LastRun).where(col(LastRun.name).in_(names)))
    last_runs = {run.name: run for run in stored_runs}
    return [
        Schedule(
            name,
            last_runs.get(name, LastRun(name=name)),
            due_times.get((name, JobState.WAITING)),
            (name, JobState.RUNNING) in due_times,
        )
        for name in names
    ]


def next_run_time(schedule: str, after: datetime) -> datetime:
    """Return the next time of a cron expression after a given time, both in UTC.

    Raises:
        OperatorError: The expression is invalid.
    """
    try:
        return next(CronSim(NICKNAMES.get(schedule.strip().lower(), schedule), after.astimezone(UTC)))
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


def schedule_key(name: str, time: datetime) -> str:
    """Return the key of a scheduled run, with which only one of several processes queues it."""
    return f"{SCHEDULE_KEY}{name}:{time:%Y-%m-%dT%H:%M:%S}"


async def record_run(session: AsyncSession, name: str, note: str = "", error: str = "") -> None:
    """Store the result of a run: a note about its success, or its error."""
    run = await find_last_run(session, name)
    if error:
        run.failed_at, run.error = utc_now(), error[:500]
    else:
        run.succeeded_at, run.note = utc_now(), note[:200]
    session.add(run)


async def find_last_run(session: AsyncSession, name: str) -> LastRun:
    """Return the row of a job, or a new one that is not stored yet."""
    return await session.get(LastRun, name) or LastRun(name=name)
