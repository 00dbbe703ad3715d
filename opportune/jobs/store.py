"""Stores jobs in the database: insert, claim, renew, end.

Every change of a running job has one winner: the row must still have the claim of the attempt that asks. Reads are
fresh: to a replica that lags, a new job would be missing and a living process dead.
"""

import secrets
from asyncio import CancelledError
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.batches import delete_in_batches
from opportune.db.database import Database
from opportune.db.model import utc_now
from opportune.db.upsert import upsert
from opportune.jobs.models import ENDED, Job, JobState
from opportune.observers import traceparent

LEASE_DURATION = timedelta(seconds=15)
"""Without a sign of life for so long a process is dead, and what it did is taken over."""
RETENTION = {
    JobState.DONE: timedelta(days=7),
    JobState.CANCELLED: timedelta(days=7),
    JobState.FAILED: timedelta(days=30),
}

UNCLAIMED: dict[str, Any] = {"claim": None, "lease_until": None}


class JobCancelled(CancelledError):  # noqa: N818 - a kind of cancellation, and no error
    """Ends an attempt that is over: somebody has cancelled the job, or another process has taken over.

    Like every cancellation it passes by `except Exception`.
    """


async def insert_job(session: AsyncSession, name: str, arguments: Sequence[Any], key: str, due_at: datetime) -> int:
    """Queue a job in the transaction of this session and give its id, or that of the one with the same key."""
    new = Job(
        name=name, arguments=list(arguments), due_at=due_at, key=key or None, traceparent=traceparent.get() or None
    )
    values = new.model_dump(exclude={"id"})
    if not key:
        return (await session.execute(insert(Job).values(values).returning(col(Job.id)))).scalar_one()
    once = upsert(session, Job).values(values).on_conflict_do_nothing(index_elements=["key"])
    added: int | None = (await session.execute(once.returning(col(Job.id)))).scalar_one_or_none()
    if added is not None:
        return added
    return (await session.scalars(select(col(Job.id)).where(col(Job.key) == key))).one()


async def hold_lease(session: AsyncSession, job: Job) -> None:
    """Renew the lease; until this transaction ends, nobody else can take the job over.

    Raises:
        JobCancelled: the job is no longer of this attempt, or is to end.
    """
    renewal = update(Job).where(_held(job)).values(lease_until=utc_now() + LEASE_DURATION)
    asked = (await session.execute(renewal.returning(col(Job.cancel_asked)))).scalar_one_or_none()
    if asked is not False:
        raise JobCancelled


def _held(*jobs: Job) -> ColumnElement[bool]:
    return tuple_(col(Job.id), col(Job.claim)).in_([(job.id, job.claim) for job in jobs])


class JobStore:
    """Jobs of these names, for a process that does them. Others wait for a process that knows them."""

    def __init__(self, database: Database, names: Collection[str]) -> None:
        self.database = database
        self.names = names

    @cached_property
    def _known(self) -> ColumnElement[bool]:
        return col(Job.name).in_(sorted(self.names))

    async def claim(self, most: int) -> list[Job]:
        """Take what is due, and what dead processes have left: the longest due first."""
        now = utc_now()
        found = select(col(Job.id)).where(self._known, self._free(now)).order_by(col(Job.due_at)).limit(most)
        async with self.database.reader(fresh=True) as session:
            ids = (await session.scalars(found)).all()
        if not ids:  # looking has taken no lock
            return []
        changes = {
            "state": JobState.RUNNING,
            "attempt": col(Job.attempt) + 1,
            "claim": secrets.token_hex(16),
            "lease_until": now + LEASE_DURATION,
            "started_at": now,
        }
        still_free = select(col(Job.id)).where(col(Job.id).in_(ids), self._free(now))
        unlocked = col(Job.id).in_(still_free.with_for_update(skip_locked=True))
        taking = update(Job).where(unlocked).values(changes).returning(Job)
        async with self.database.writer() as session:
            taken = (await session.scalars(taking, execution_options={"synchronize_session": False})).all()
        return sorted(taken, key=lambda job: job.due_at)

    @staticmethod
    def _free(now: datetime) -> ColumnElement[bool]:
        state = col(Job.state)
        return or_(
            and_(state == JobState.WAITING, col(Job.due_at) <= now),
            and_(state == JobState.RUNNING, col(Job.lease_until) < now),
        )

    async def next_due(self) -> datetime | None:
        """The moment when there will be something to claim, as far as is known."""
        state = col(Job.state)
        waiting = select(func.min(col(Job.due_at))).where(self._known, state == JobState.WAITING)
        running = select(func.min(col(Job.lease_until))).where(self._known, state == JobState.RUNNING)
        async with self.database.reader(fresh=True) as session:
            times = [await session.scalar(query) for query in (waiting, running)]
        return min(filter(None, times), default=None)

    async def renew(self, jobs: Collection[Job]) -> set[int]:
        """Renew the leases of these, and give the ids of those that somebody has cancelled."""
        # A row that is locked is in a transaction of its own job, which has renewed it.
        free = select(col(Job.id)).where(_held(*jobs)).with_for_update(skip_locked=True)
        async with self.database.writer() as session:
            ids = (await session.scalars(free)).all()
            renewal = update(Job).where(col(Job.id).in_(ids)).values(lease_until=utc_now() + LEASE_DURATION)
            rows = await session.execute(renewal.returning(col(Job.id), col(Job.cancel_asked)))
            return {job_id for job_id, cancel_asked in rows if cancel_asked}

    async def end(self, job: Job, state: JobState, error: str = "") -> None:
        # What is done is never done again: the links and addresses of an e-mail need not lie about any longer.
        forgotten: dict[str, Any] = {"arguments": []} if state == JobState.DONE else {}
        await self._change(job, {"state": state, "error": error, "ended_at": utc_now(), **forgotten, **UNCLAIMED})

    async def postpone(self, job: Job, seconds: float, error: str) -> None:
        """Have a failed job tried again later, unless somebody has cancelled it."""
        asked = col(Job.cancel_asked)
        state = case((asked, JobState.CANCELLED), else_=JobState.WAITING)
        later = {"state": state, "due_at": utc_now() + timedelta(seconds=seconds), "error": error}
        await self._change(job, {**later, "ended_at": case((asked, utc_now()), else_=None), **UNCLAIMED})

    async def release(self, job: Job) -> None:
        """Give back a job that the end of this process has cut short: it counts as no try."""
        await self._change(job, {"state": JobState.WAITING, "attempt": job.attempt - 1, **UNCLAIMED})

    async def report(self, job: Job, done: int, total: int, note: str) -> None:
        """Store how far a job is.

        Raises:
            JobCancelled: see `hold_lease`.
        """
        async with self.database.writer() as session:
            await hold_lease(session, job)
            values = {"done": done, "total": total, "note": note}
            await session.execute(update(Job).where(_held(job)).values(values))

    async def _change(self, job: Job, values: dict[str, Any]) -> None:
        async with self.database.writer() as session:
            await session.execute(update(Job).where(_held(job)).values(values))

    async def prune(self) -> None:
        """Delete what ended long ago, with its steps."""
        for state in ENDED:
            is_old = (col(Job.state) == state) & (col(Job.ended_at) < utc_now() - RETENTION[state])
            await delete_in_batches(self.database, Job, is_old)
