"""Limits of queues and groups: how many jobs may run at a time on all machines.

A job of a group is held until fewer jobs of the group than its limit are waiting or running. Then a worker releases the
first held job of each group, so that groups take turns and a claim never reads the backlog of one group.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import CTE, ColumnElement, String, bindparam, column, func, literal_column, select, update, values
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from opportune.db.queries.dialects import acquire_advisory_lock, database_time
from opportune.jobs.models import IS_HELD, IS_RUNNING, Job, JobState, PausedQueue

ALL_QUEUES = "*"
"""Name of the limit that applies to all queues together."""
MAX_GROUPS = 1000
"""Maximum number of groups that one statement checks. The next one continues with the groups after them."""
UNKNOWN_AFTER = timedelta(hours=1)
"""Time after which waiting jobs without code no longer block their group. A newer version may start them before."""


async def allowed_claims(session: AsyncSession, queue: str, limits: Mapping[str, int], free_slots: int) -> int:
    """Return how many jobs of a queue may be claimed now. A limited queue is locked until the transaction ends.

    Args:
        session: A writing session.
        queue: Name of the queue.
        limits: Maximum numbers of running jobs by queue, and for `*`.
        free_slots: Number of jobs that the worker can start.
    """
    allowed = free_slots
    for name, jobs in ((ALL_QUEUES, IS_RUNNING), (queue, IS_RUNNING & (col(Job.queue) == queue))):
        if name in limits:
            await acquire_advisory_lock(session, f"opportune jobs queue {name}")
            running = await session.scalar(select(func.count()).where(jobs)) or 0
            allowed = min(allowed, limits[name] - running)
    is_paused = select(col(PausedQueue.name)).where(col(PausedQueue.name) == queue)
    if allowed <= 0 or await session.scalar(is_paused):
        return 0
    return allowed


def _held_groups() -> CTE:
    """Name the groups with held jobs, in order after the parameter `after`.

    Each step of the recursion finds the next name in the index, so that the jobs of a group are not read.
    """
    name = func.min(col(Job.group_name)).label("name")
    groups = select(name).where(IS_HELD, col(Job.group_name) > bindparam("after")).cte("groups", recursive=True)
    next_name = select(name).where(IS_HELD, col(Job.group_name) > groups.c.name).scalar_subquery()
    return groups.union_all(select(next_name).where(groups.c.name.is_not(None)))


HELD_GROUPS = _held_groups()
NEXT_GROUPS = select(HELD_GROUPS.c.name).where(HELD_GROUPS.c.name.is_not(None)).limit(MAX_GROUPS)


class Release(NamedTuple):
    """Held jobs that were released."""

    job_count: int = 0
    may_release_more: bool = False
    """Whether a group lets several jobs run, so that another call may release more."""


class HeldJobs:
    """Releases held jobs of groups, `MAX_GROUPS` groups at a time."""

    def __init__(self, jobs: Collection[str]) -> None:
        self._jobs = jobs
        """Names of the jobs that this worker's code defines. Others would wait without end, and block their group."""
        self._last_group = ""
        """Group after which the next call continues. Empty to begin with the first group."""

    async def release(self, session: AsyncSession) -> Release:
        """Let the first due job of each group wait for a worker, if the limit of its group allows it."""
        now = database_time(session)
        due_jobs = select(col(Job.id)).where(IS_HELD, col(Job.due_at) <= now)
        if not await session.scalar(select(due_jobs.exists())):
            return Release()
        # Otherwise two workers could release jobs of the same group.
        await acquire_advisory_lock(session, "opportune jobs groups")
        groups = (await session.scalars(NEXT_GROUPS, {"after": self._last_group})).all()
        self._last_group = groups[-1] if len(groups) == MAX_GROUPS else ""
        if not groups:
            return Release()
        active_jobs = _count_active_in_group(database_time(session, -UNKNOWN_AFTER), self._jobs)
        is_allowed = _is_first_due_of(groups, now, self._jobs) & (active_jobs < col(Job.group_limit))
        # Released jobs wait from now on, so that groups take turns.
        statement = update(Job).where(is_allowed).values(state=JobState.WAITING, due_at=now)
        returning = statement.returning(col(Job.group_limit))
        limits = (await session.scalars(returning, execution_options={"synchronize_session": False})).all()
        return Release(len(limits), any(limit > 1 for limit in limits))


def _is_first_due_of(groups: Sequence[str], now: ColumnElement[datetime], jobs: Collection[str]) -> ColumnElement[bool]:
    """Match the held job of each group that has been due for the longest time."""
    group = values(column("name", String), name="names").data([(name,) for name in groups]).cte("checked")
    held = aliased(Job)
    is_due = (col(held.state) == literal_column("'held'")) & (col(held.due_at) <= now)
    due_jobs = select(col(held.id)).where(is_due, col(held.group_name) == group.c.name, col(held.name).in_(jobs))
    first_due = due_jobs.order_by(col(held.due_at), col(held.id)).limit(1).scalar_subquery()
    return col(Job.id).in_(select(first_due).select_from(group))


def _count_active_in_group(cutoff: ColumnElement[datetime], jobs: Collection[str]) -> ColumnElement[int]:
    """Count the waiting and running jobs of the same group, except jobs without code that wait since `cutoff`."""
    active = aliased(Job)
    is_active = col(active.state).in_((literal_column("'waiting'"), literal_column("'running'")))
    is_running = col(active.state) == literal_column("'running'")
    may_end = is_active & (is_running | col(active.name).in_(jobs) | (col(active.due_at) > cutoff))
    return select(func.count()).where(may_end, col(active.group_name) == col(Job.group_name)).scalar_subquery()
