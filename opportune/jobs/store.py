"""Storage of jobs: functions to queue and claim jobs, renew their leases and record how they ended.

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
from opportune.db.drivers.sync_engines import create_writing_engine
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_in_batches
from opportune.db.queries.upsert import upsert
from opportune.jobs.models import ENDED_STATES, Job, JobState
from opportune.jobs.worker_lock import WorkerLock
from opportune.runtime.observers import traceparent

LEASE_DURATION = timedelta(seconds=15)
"""Lease of a running job. After it expires, another worker takes over if the process is not alive on its machine."""
WORKER_ID_LENGTH = 16
"""Length of the worker's id at the beginning of a claim. The remaining characters identify the attempt."""
RETENTION = {
    JobState.DONE: timedelta(days=7),
    JobState.CANCELLED: timedelta(days=7),
    JobState.FAILED: timedelta(days=30),
}

NO_CLAIM: dict[str, Any] = {"claim": None, "lease_until": None}


class JobCancelled(CancelledError):
    """Ends an attempt, because a user has cancelled the job or another process has taken it over.

    Like every cancellation, it is not caught by `except Exception`.
    """


async def insert_job(session: AsyncSession, name: str, arguments: Sequence[Any], key: str, due_at: datetime) -> int:
    """Queue a job in the transaction of this session. Return its id, or the id of the job with the same key."""
    job = Job(
        name=name, arguments=list(arguments), due_at=due_at, key=key or None, traceparent=traceparent.get() or None
    )
    values = job.model_dump(exclude={"id"})
    if not key:
        return (await session.execute(insert(Job).values(values).returning(col(Job.id)))).scalar_one()
    insertion = upsert(session, Job).values(values).on_conflict_do_nothing(index_elements=["key"])
    job_id: int | None = (await session.execute(insertion.returning(col(Job.id)))).scalar_one_or_none()
    if job_id is not None:
        return job_id
    return (await session.scalars(select(col(Job.id)).where(col(Job.key) == key))).one()


async def renew_lease(session: AsyncSession, job: Job) -> None:
    """Renew the lease of a job and lock its row, so that no other worker can take it over during this transaction.

    Raises:
        JobCancelled: Another worker has taken over the job, or a user has cancelled it.
    """
    lease_until = _database_time(session.get_bind().dialect.name, LEASE_DURATION)
    renewal = update(Job).where(_is_claimed(job)).values(lease_until=lease_until)
    cancelled = (await session.execute(renewal.returning(col(Job.cancel_asked)))).scalar_one_or_none()
    if cancelled is not False:
        raise JobCancelled


def _is_claimed(*jobs: Job) -> ColumnElement[bool]:
    """Match the rows that still have the claim of these attempts."""
    return tuple_(col(Job.id), col(Job.claim)).in_([(job.id, job.claim) for job in jobs])


def _database_time(dialect: str, offset: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the current time of the database server plus `offset`. For SQLite, the clock of this machine is used."""
    if dialect == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True)) + offset
    return literal(utc_now() + offset, UTCDateTime)


def _renew_statement(dialect: str, jobs: Collection[Job]) -> Update:
    """Build the statement that renews leases. It skips locked rows, because the job's transaction renews them."""
    unlocked_ids = select(col(Job.id)).where(_is_claimed(*jobs)).with_for_update(skip_locked=True)
    return update(Job).where(col(Job.id).in_(unlocked_ids)).values(lease_until=_database_time(dialect, LEASE_DURATION))


class JobStore:
    """Job queue of one worker. It claims only jobs that this worker's code defines."""

    def __init__(self, database: Database, names: Collection[str]) -> None:
        self.database = database
        self.names = names
        self.lock = WorkerLock(str(database.url.sync_url), secrets.token_hex(WORKER_ID_LENGTH // 2))
        """Proves to other workers of this machine that this one is alive, so that they do not take over its jobs."""
        self._dialect = database.engine.dialect.name

    @cached_property
    def _is_known_job(self) -> ColumnElement[bool]:
        return col(Job.name).in_(sorted(self.names))

    async def claim(self, limit: int, running: Collection[Job] = ()) -> list[Job]:
        """Claim due jobs and jobs of dead processes, the oldest first.

        Args:
            limit: Maximum number of jobs.
            running: Jobs that this worker runs already.
        """
        ids = await self._find_claimable(limit, self._is_claimable(running, ()))
        live_workers: Sequence[str] = ()
        # A job with an expired lease may belong to a worker of this machine that is alive but slow.
        if any(ids.values()) and (live_workers := await to_thread(self.lock.living_workers)):
            ids = await self._find_claimable(limit, self._is_claimable(running, live_workers))
        if not ids:
            return []
        self.lock.acquire()
        changes = {
            "state": JobState.RUNNING,
            "attempt": col(Job.attempt) + 1,
            "claim": self.lock.worker + secrets.token_hex(16 - WORKER_ID_LENGTH // 2),
            "lease_until": _database_time(self._dialect, LEASE_DURATION),
            "started_at": utc_now(),
        }
        # Another worker may have claimed or locked some of the jobs since they were found.
        remaining = select(col(Job.id)).where(col(Job.id).in_(ids), self._is_claimable(running, live_workers))
        is_unlocked = col(Job.id).in_(remaining.with_for_update(skip_locked=True))
        statement = update(Job).where(is_unlocked).values(changes).returning(Job)
        async with self.database.writer() as session:
            claimed = (await session.scalars(statement, execution_options={"synchronize_session": False})).all()
        return sorted(claimed, key=lambda job: job.due_at)

    async def _find_claimable(self, limit: int, is_claimable: ColumnElement[bool]) -> dict[int | None, str | None]:
        """Return the ids of jobs to claim. The values are the claims of workers whose leases expired, else None."""
        query = select(col(Job.id), col(Job.claim)).where(self._is_known_job, is_claimable)
        async with self.database.reader(fresh=True) as session:
            return {row.id: row.claim for row in await session.execute(query.order_by(col(Job.due_at)).limit(limit))}

    def _is_claimable(self, running: Collection[Job], live_workers: Collection[str]) -> ColumnElement[bool]:
        """Match due jobs, and jobs with an expired lease.

        Args:
            running: Jobs that this worker runs. They do not match.
            live_workers: Ids of other living workers. Their jobs do not match.
        """
        state, claim = col(Job.state), col(Job.claim)
        return or_(
            and_(state == JobState.WAITING, col(Job.due_at) <= utc_now()),
            and_(
                state == JobState.RUNNING,
                col(Job.lease_until) < _database_time(self._dialect),
                claim.not_in([job.claim for job in running]),
                func.substr(claim, 1, WORKER_ID_LENGTH).not_in(live_workers),
            ),
        )

    async def seconds_to_next(self) -> float | None:
        """Return the seconds until a job is due or a lease ends; None if no job waits or runs."""
        state = col(Job.state)
        waiting = select(func.min(col(Job.due_at))).where(self._is_known_job, state == JobState.WAITING)
        leases = select(func.min(col(Job.lease_until)), _database_time(self._dialect))
        async with self.database.reader(fresh=True) as session:
            due_at = await session.scalar(waiting)
            running = leases.where(self._is_known_job, state == JobState.RUNNING)
            lease_until, now = (await session.execute(running)).one()
        # Leases are compared with the clock of the database, due times with the clock of this machine.
        times = [(due_at, utc_now()), (lease_until, now)]
        return min(((time - clock).total_seconds() for time, clock in times if time), default=None)

    async def renew(self, jobs: Collection[Job]) -> set[int]:
        """Renew the leases of these jobs and return the ids of cancelled ones."""
        renewal = _renew_statement(self._dialect, jobs).returning(col(Job.id), col(Job.cancel_asked))
        async with self.database.writer() as session:
            rows = await session.execute(renewal, execution_options={"synchronize_session": False})
            return {job_id for job_id, cancelled in rows if cancelled}

    def renew_from_thread(self, jobs: Collection[Job]) -> None:
        """Renew the leases on a new connection, because a thread cannot use connections of the event loop."""
        engine = create_writing_engine(self.database.url)
        with engine.begin() as connection:
            connection.execute(_renew_statement(self._dialect, jobs))

    async def end(self, job: Job, state: JobState, error: str = "") -> None:
        # Completed jobs need no arguments, which may hold personal data.
        cleared: dict[str, Any] = {"arguments": []} if state == JobState.DONE else {}
        await self._change(job, {"state": state, "error": error, "ended_at": utc_now(), **cleared, **NO_CLAIM})

    async def postpone(self, job: Job, seconds: float, error: str) -> None:
        """Retry a failed job later, unless a user has cancelled it."""
        is_cancelled = col(Job.cancel_asked)
        state = case((is_cancelled, JobState.CANCELLED), else_=JobState.WAITING)
        values = {"state": state, "due_at": utc_now() + timedelta(seconds=seconds), "error": error}
        await self._change(job, {**values, "ended_at": case((is_cancelled, utc_now()), else_=None), **NO_CLAIM})

    async def release(self, job: Job) -> None:
        """Return a job to the queue at the end of this process. The attempt does not count."""
        await self._change(job, {"state": JobState.WAITING, "attempt": job.attempt - 1, **NO_CLAIM})

    async def report(self, job: Job, done: int, total: int, note: str) -> None:
        """Store the progress of a job.

        Raises:
            JobCancelled: Another worker has taken over the job, or a user has cancelled it.
        """
        async with self.database.writer() as session:
            await renew_lease(session, job)
            values = {"done": done, "total": total, "note": note}
            await session.execute(update(Job).where(_is_claimed(job)).values(values))

    async def _change(self, job: Job, values: dict[str, Any]) -> None:
        async with self.database.writer() as session:
            await session.execute(update(Job).where(_is_claimed(job)).values(values))

    async def prune(self) -> None:
        """Delete jobs that ended long ago."""
        for state in ENDED_STATES:
            is_old = (col(Job.state) == state) & (col(Job.ended_at) < utc_now() - RETENTION[state])
            await delete_in_batches(self.database, Job, is_old)
