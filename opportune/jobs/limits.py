"""Limits of queues and groups: how many jobs may run at a time on all machines.

A job of a group is held until fewer jobs of the group than its limit are waiting or running. Then a worker releases the
first held job of each group, so that groups take turns and a claim never reads the backlog of one group.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    CTE,
    ColumnElement,
    String,
    Update,
    bindparam,
    column,
    func,
    literal_column,
    select,
    text,
    update,
    values,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from opportune.jobs.clock import database_time
from opportune.jobs.models import IS_HELD, IS_RUNNING, Job, JobState, PausedQueue

ALL_QUEUES = "*"
"""Name of the limit that applies to all queues together."""
MAX_GROUPS = 1000
"""Maximum number of groups that one statement checks. The next one continues with the groups after them."""


async def allowed_claims(session: AsyncSession, queue: str, limits: Mapping[str, int], wanted: int) -> int:
    """Return how many jobs of a queue may be claimed now. A limited queue is locked until the transaction ends.

    Args:
        session: A writing session.
        queue: Name of the queue.
        limits: Maximum numbers of running jobs by queue, and for `*`.
        wanted: Number of jobs that the worker can start.
    """
    for name in (ALL_QUEUES, queue):
        if (limit := limits.get(name)) is not None:
            await _lock(session, f"queue {name}")
            in_queue = () if name == ALL_QUEUES else (col(Job.queue) == queue,)
            running = await session.scalar(select(func.count()).where(IS_RUNNING, *in_queue))
            wanted = min(wanted, max(0, limit - (running or 0)))
    is_paused = select(col(PausedQueue.name)).where(col(PausedQueue.name) == queue)
    return 0 if wanted and await session.scalar(is_paused) else wanted


def _held_groups() -> CTE:
    """Read names of groups with held jobs, in order after the parameter `after`. Each step finds the next name."""
    name = func.min(col(Job.group_name)).label("name")
    groups = select(name).where(IS_HELD, col(Job.group_name) > bindparam("after")).cte("groups", recursive=True)
    next_name = select(name).where(IS_HELD, col(Job.group_name) > groups.c.name).scalar_subquery()
    return groups.union_all(select(next_name).where(groups.c.name.is_not(None)))


HELD_GROUPS = _held_groups()
NEXT_GROUPS = select(HELD_GROUPS.c.name).where(HELD_GROUPS.c.name.is_not(None)).limit(MAX_GROUPS)


class HeldJobs:
    """Releases held jobs of groups."""

    def __init__(self) -> None:
        self._last_name = ""
        """Last group that was checked. The next call continues after it."""

    async def release(self, session: AsyncSession) -> list[int]:
        """Let the first due job of each group wait for a worker, if the limit of its group allows it.

        Returns:
            The limit of the group of each released job. If it is more than one, another call may release more.
        """
        now = database_time(session.get_bind().dialect.name)
        due_jobs = select(col(Job.id)).where(IS_HELD, col(Job.due_at) <= now)
        if not await session.scalar(select(due_jobs.exists())):
            return []
        await _lock(session, "groups")  # otherwise two workers could release jobs of the same group
        groups = (await session.scalars(NEXT_GROUPS, {"after": self._last_name})).all()
        self._last_name = groups[-1] if len(groups) == MAX_GROUPS else ""
        if not groups:
            return []
        release = _release_statement(groups, now).returning(col(Job.group_limit))
        return [*await session.scalars(release, execution_options={"synchronize_session": False})]


def _release_statement(groups: Sequence[str], now: ColumnElement[datetime]) -> Update:
    group = values(column("name", String), name="names").data([(name,) for name in groups]).cte("checked")
    held, active = aliased(Job), aliased(Job)
    is_due = (col(held.state) == literal_column("'held'")) & (col(held.due_at) <= now)
    first = select(col(held.id)).where(is_due, col(held.group_name) == group.c.name)
    first_id = first.order_by(col(held.due_at), col(held.id)).limit(1).scalar_subquery()
    is_active = col(active.state).in_((literal_column("'waiting'"), literal_column("'running'")))
    active_jobs = select(func.count()).where(is_active, col(active.group_name) == col(Job.group_name)).scalar_subquery()
    is_allowed = col(Job.id).in_(select(first_id).select_from(group)) & (active_jobs < col(Job.group_limit))
    # The release is the time from which the job waits, so that groups take turns.
    return update(Job).where(is_allowed).values(state=JobState.WAITING, due_at=now)


async def _lock(session: AsyncSession, name: str) -> None:
    """Lock a name until the end of the transaction. On SQLite, the only writer needs no lock."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"opportune jobs {name}"})
