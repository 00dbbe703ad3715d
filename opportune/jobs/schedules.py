"""State of scheduled jobs: last run, next run, and whether it is late."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.jobs.declaration import JobDefinition
from opportune.jobs.models import SCHEDULED, Job, JobState, LastRun

LATE_AFTER = timedelta(minutes=10)
"""A run that starts later than this is late. Workers check the queue once a minute; short outages are ignored."""


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
    query = select(col(Job.name), col(Job.state), func.min(col(Job.due_at)))
    query = query.where(col(Job.name).in_(names), literal_column(f"({SCHEDULED})"))
    rows = await session.execute(query.group_by(col(Job.name), col(Job.state)))
    due_times = {(name, JobState(state)): due_at for name, state, due_at in rows}
    last_runs = {run.name: run for run in await session.scalars(select(LastRun).where(col(LastRun.name).in_(names)))}
    return [
        Schedule(
            name,
            last_runs.get(name, LastRun(name=name)),
            due_times.get((name, JobState.WAITING)),
            (name, JobState.RUNNING) in due_times,
        )
        for name in names
    ]
