"""Jobs that run by themselves: how each went, when it is next due, and whether it is late."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.jobs.job import JobDefinition
from opportune.jobs.models import Job, JobState, LastRun
from opportune.jobs.schedule import SCHEDULE_KEY

LATE_AFTER = timedelta(minutes=10)
"""So much later than its schedule has it, a run is late: workers look once a minute, and a short outage is none."""


@dataclass(frozen=True)
class Schedule:
    """A job with a schedule, as the database has it."""

    name: str
    last: LastRun
    due_at: datetime | None
    """None where nobody has planned it."""
    is_running: bool

    def is_late(self, now: datetime) -> bool:
        return not self.is_running and self.due_at is not None and now - self.due_at > LATE_AFTER


def scheduled_names(jobs: Iterable[JobDefinition[Any]], settings: Settings) -> list[str]:
    """The jobs that begin by themselves."""
    return [job.name for job in jobs if job.schedule_in(settings)]


async def read_schedules(session: AsyncSession, names: Iterable[str]) -> list[Schedule]:
    """How the jobs of these names, which have a schedule, are doing."""
    names = [*names]
    is_theirs = col(Job.name).in_(names) & col(Job.key).startswith(SCHEDULE_KEY)
    is_open = col(Job.state).in_((JobState.WAITING, JobState.RUNNING))
    query = select(col(Job.name), col(Job.state), func.min(col(Job.due_at))).where(is_theirs, is_open)
    rows = await session.execute(query.group_by(col(Job.name), col(Job.state)))
    due = {(name, JobState(state)): at for name, state, at in rows}
    last = {run.name: run for run in await session.scalars(select(LastRun).where(col(LastRun.name).in_(names)))}
    return [
        Schedule(
            name,
            last.get(name, LastRun(name=name)),
            due.get((name, JobState.WAITING)),
            (name, JobState.RUNNING) in due,
        )
        for name in names
    ]
