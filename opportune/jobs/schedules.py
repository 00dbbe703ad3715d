"""Jobs that run by themselves: when each went well, when it is next due, and whether it is late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.model import utc_now
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedule import SCHEDULE_KEY

LATE_AFTER = timedelta(minutes=10)
"""So much later than its schedule has it, a run is late: workers look once a minute, and a short outage is none."""


@dataclass(frozen=True)
class Schedule:
    """A job with a schedule, as the database has it."""

    name: str
    succeeded_at: datetime | None
    """None where it has not yet, or too long ago to be known."""
    due_at: datetime | None
    """None where nobody has planned it."""
    is_running: bool

    def is_late(self, now: datetime) -> bool:
        return not self.is_running and self.due_at is not None and now - self.due_at > LATE_AFTER


async def read_schedules(session: AsyncSession, names: Sequence[str]) -> list[Schedule]:
    """How the jobs of these names, which have a schedule, are doing."""
    is_theirs = col(Job.name).in_(names) & col(Job.key).startswith(SCHEDULE_KEY)

    async def by_name(column: object, *states: JobState) -> Mapping[str, datetime]:
        query = select(col(Job.name), column).where(is_theirs, col(Job.state).in_(states)).group_by(col(Job.name))  # type: ignore[call-overload]  # an aggregate
        return dict((await session.execute(query)).tuples().all())

    succeeded = await by_name(func.max(col(Job.ended_at)), JobState.DONE)
    due = await by_name(func.min(col(Job.due_at)), JobState.WAITING)
    running = await by_name(func.max(col(Job.due_at)), JobState.RUNNING)
    return [Schedule(name, succeeded.get(name), due.get(name), name in running) for name in names]


async def late_schedules(session: AsyncSession, names: Sequence[str]) -> list[Schedule]:
    """Those of them that should have begun long ago."""
    now = utc_now()
    return [each for each in await read_schedules(session, names) if each.is_late(now)]
