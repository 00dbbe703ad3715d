"""Stores jobs in the database: insert, claim, renew, end.

A worker can change a running job only while the row contains the claim of its attempt. Reads go to the primary, because
a lagging replica misses new jobs and renewed leases. Leases use the clock of the database, because the clocks of
workers differ.
"""

import secrets
from asyncio import CancelledError, to_thread
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Update,
    and_,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime, col

from opportune.db.database import Database
from opportune.db.drivers.sync_engines import writing_engine
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_in_batches
from opportune.db.queries.upsert import upsert
from opportune.jobs.models import ENDED, Job, JobState
from opportune.jobs.worker_lock import WorkerLock
from opportune.runtime.observers import traceparent

LEASE_DURATION = timedelta(seconds=15)
"""Lease of a running job. Then another worker takes over, unless the process is alive on the same machine."""
WORKER_ID_LENGTH = 16
"""Length of the worker's id at the beginning of a claim. The remaining characters identify the attempt."""
RETENTION = {
    JobState.DONE: timedelta(days=7),
    JobState.CANCELLED: timedelta(days=7),
    JobState.FAILED: timedelta(days=30),
}

UNCLAIMED: dict[str, Any] = {"claim": None, "lease_until": None}


class JobCancelled(CancelledError):
    """Ends an attempt, because a user has cancelled the job or another process has taken it over.

    Like every cancellation, it is not caught by `except Exception`.
    """


async def insert_job(session: AsyncSession, name: str, arguments: Sequence[Any], key: str, due_at: datetime) -> int:
    """Queue a job in the transaction of this session. Return its id, or the id of the job with the same key."""
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
    """Renew the lease. No other worker can take over the job until this transaction ends.

    Raises:
        JobCancelled: Another worker has taken over the job, or a user has cancelled it.
    """
    renewal = update(Job).where(_held(job)).values(lease_until=_clock(session.get_bind().dialect.name, LEASE_DURATION))
    cancelled = (await session.execute(renewal.returning(col(Job.cancel_asked)))).scalar_one_or_none()
    if cancelled is not False:
        raise JobCancelled


def _held(*jobs: Job) -> ColumnElement[bool]:
    return tuple_(col(Job.id), col(Job.claim)).in_([(job.id, job.claim) for job in jobs])


def _clock(dialect: str, after: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the time of the PostgreSQL server. The workers of a SQLite file share the clock of one machine."""
    if dialect == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True)) + after
    return literal(utc_now() + after, UTCDateTime)


def _renewal(dialect: str, jobs: Collection[Job]) -> Update:
    """Renew the leases of these jobs. Locked rows are skipped, because the job's transaction renews them."""
    free = select(col(Job.id)).where(_held(*jobs)).with_for_update(skip_locked=True)
    return update(Job).where(col(Job.id).in_(free)).values(lease_until=_clock(dialect, LEASE_DURATION))


class JobStore:
    """Job queue of one worker. It claims only jobs with these names; others wait for a worker with other code."""

    def __init__(self, database: Database, names: Collection[str]) -> None:
        self.database = database
        self.names = names
        self.lock = WorkerLock(str(database.url.sync_url), secrets.token_hex(WORKER_ID_LENGTH // 2))
        """Shows other workers of this machine that this one is alive, so that they do not take over its jobs."""
        self._dialect = database.engine.dialect.name

    @cached_property
    def _has_known_name(self) -> ColumnElement[bool]:
        return col(Job.name).in_(sorted(self.names))

    async def claim(self, limit: int, running: Collection[Job] = ()) -> list[Job]:
        """Claim due jobs and jobs of dead processes, the oldest first. `running` are the jobs of this worker."""
        ids = await self._claimable(limit, self._free(running, ()))
        alive: Sequence[str] = ()
        if any(ids.values()) and (alive := await to_thread(self.lock.living)):
            ids = await self._claimable(limit, self._free(running, alive))
        if not ids:  # no row is locked yet
            return []
        self.lock.hold()
        changes = {
            "state": JobState.RUNNING,
            "attempt": col(Job.attempt) + 1,
            "claim": self.lock.worker + secrets.token_hex(16 - WORKER_ID_LENGTH // 2),
            "lease_until": _clock(self._dialect, LEASE_DURATION),
            "started_at": utc_now(),
        }
        still_free = select(col(Job.id)).where(col(Job.id).in_(ids), self._free(running, alive))
        unlocked = col(Job.id).in_(still_free.with_for_update(skip_locked=True))
        claiming = update(Job).where(unlocked).values(changes).returning(Job)
        async with self.database.writer() as session:
            claimed = (await session.scalars(claiming, execution_options={"synchronize_session": False})).all()
        return sorted(claimed, key=lambda job: job.due_at)

    async def _claimable(self, limit: int, free: ColumnElement[bool]) -> dict[int | None, str | None]:
        """Return the ids of jobs to claim, with the claims of their dead workers."""
        query = select(col(Job.id), col(Job.claim)).where(self._has_known_name, free)
        async with self.database.reader(fresh=True) as session:
            return {row.id: row.claim for row in await session.execute(query.order_by(col(Job.due_at)).limit(limit))}

    def _free(self, running: Collection[Job], alive: Collection[str]) -> ColumnElement[bool]:
        state, claim = col(Job.state), col(Job.claim)
        return or_(
            and_(state == JobState.WAITING, col(Job.due_at) <= utc_now()),
            and_(
                state == JobState.RUNNING,
                col(Job.lease_until) < _clock(self._dialect),
                claim.not_in([job.claim for job in running]),
                func.substr(claim, 1, WORKER_ID_LENGTH).not_in(alive),
            ),
        )

    async def seconds_to_next(self) -> float | None:
        """Return the seconds until a job is due or a lease ends; None if no job waits or runs."""
        state = col(Job.state)
        waiting = select(func.min(col(Job.due_at))).where(self._has_known_name, state == JobState.WAITING)
        leases = select(func.min(col(Job.lease_until)), _clock(self._dialect))
        async with self.database.reader(fresh=True) as session:
            due_at = await session.scalar(waiting)
            running = leases.where(self._has_known_name, state == JobState.RUNNING)
            lease_until, now = (await session.execute(running)).one()
        times = [(due_at, utc_now()), (lease_until, now)]
        return min(((at - now).total_seconds() for at, now in times if at), default=None)

    async def renew(self, jobs: Collection[Job]) -> set[int]:
        """Renew the leases of these jobs and return the ids of those that a user has cancelled."""
        renewal = _renewal(self._dialect, jobs).returning(col(Job.id), col(Job.cancel_asked))
        async with self.database.writer() as session:
            rows = await session.execute(renewal, execution_options={"synchronize_session": False})
            return {job_id for job_id, cancelled in rows if cancelled}

    def renew_from_thread(self, jobs: Collection[Job]) -> None:
        """Renew the leases on a new connection, because a thread cannot use connections of the event loop."""
        engine = writing_engine(self.database.url)
        with engine.begin() as connection:
            connection.execute(_renewal(self._dialect, jobs))

    async def end(self, job: Job, state: JobState, error: str = "") -> None:
        # Completed jobs need no arguments, which may hold personal data.
        cleared: dict[str, Any] = {"arguments": []} if state == JobState.DONE else {}
        await self._change(job, {"state": state, "error": error, "ended_at": utc_now(), **cleared, **UNCLAIMED})

    async def postpone(self, job: Job, seconds: float, error: str) -> None:
        """Retry a failed job later, unless a user has cancelled it."""
        is_cancelled = col(Job.cancel_asked)
        state = case((is_cancelled, JobState.CANCELLED), else_=JobState.WAITING)
        later = {"state": state, "due_at": utc_now() + timedelta(seconds=seconds), "error": error}
        await self._change(job, {**later, "ended_at": case((is_cancelled, utc_now()), else_=None), **UNCLAIMED})

    async def release(self, job: Job) -> None:
        """Return a job to the queue at the end of this process. The attempt does not count."""
        await self._change(job, {"state": JobState.WAITING, "attempt": job.attempt - 1, **UNCLAIMED})

    async def report(self, job: Job, done: int, total: int, note: str) -> None:
        """Store the progress of a job.

        Raises:
            JobCancelled: Another worker has taken over the job, or a user has cancelled it.
        """
        async with self.database.writer() as session:
            await hold_lease(session, job)
            values = {"done": done, "total": total, "note": note}
            await session.execute(update(Job).where(_held(job)).values(values))

    async def _change(self, job: Job, values: dict[str, Any]) -> None:
        async with self.database.writer() as session:
            await session.execute(update(Job).where(_held(job)).values(values))

    async def prune(self) -> None:
        """Delete jobs that ended long ago."""
        for state in ENDED:
            is_old = (col(Job.state) == state) & (col(Job.ended_at) < utc_now() - RETENTION[state])
            await delete_in_batches(self.database, Job, is_old)
