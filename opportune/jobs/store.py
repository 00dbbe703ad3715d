"""Storage of jobs for one worker: it claims jobs, renews their leases and records how they ended.

Workers claim jobs in batches with one statement, which skips rows that other workers have locked. Reads go to the
primary, because a lagging replica misses new jobs and renewed leases. Due times and leases use the clock of the
database, because the clocks of machines differ.
"""

import secrets
import time
from asyncio import to_thread
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.database import Database
from opportune.db.drivers.sync_engines import create_writing_engine
from opportune.db.queries.batches import delete_in_batches
from opportune.db.queries.dialects import database_time
from opportune.jobs.declaration import JobDefinition
from opportune.jobs.leases import has_id, is_claimed, lease_end, renew_lease, renew_statement
from opportune.jobs.limits import HeldJobs, allowed_claims
from opportune.jobs.models import (
    ENDED_STATES,
    IS_HELD,
    IS_RUNNING,
    IS_WAITING,
    ClaimedJob,
    Job,
    JobState,
    waiting_state,
)
from opportune.jobs.worker_lock import WorkerLock

WORKER_ID_LENGTH = 16
"""Length of the worker's id at the beginning of a claim. The remaining characters identify the attempt."""
ATTEMPT_ID_BYTES = 8
"""Random bytes of the rest of a claim, which has two characters for each."""
RETENTION = {
    JobState.DONE: timedelta(days=7),
    JobState.CANCELLED: timedelta(days=7),
    JobState.FAILED: timedelta(days=30),
}

SUSPECT_ATTEMPTS = 2
"""Attempts after which a job whose worker dies is a suspect. It is taken over alone."""
TAKEOVER_INTERVAL_SECONDS = 5.0
"""Maximum seconds between two searches for jobs of dead workers."""
HELD_RETRY_SECONDS = 5.0
"""Seconds until the next check if a due job is held. Another process may have queued it, or may end its group's job."""

CLAIMED_COLUMNS = [getattr(Job, field.name) for field in fields(ClaimedJob)]
NO_CLAIM: dict[str, Any] = {"claim": None, "lease_until": None}
UNSTARTED: dict[str, Any] = {"state": JobState.WAITING, "attempt": col(Job.attempt) - 1, **NO_CLAIM}
"""Values of a job that returns to the queue. The attempt does not count."""


class JobStore:
    """Job queue of one worker. It claims only jobs that this worker's code defines."""

    def __init__(self, database: Database, jobs: Mapping[str, JobDefinition[Any]], limits: Mapping[str, int]) -> None:
        self.database = database
        self.jobs = jobs
        self.limits = limits
        """Maximum numbers of running jobs by queue (JOBS_LIMITS)."""
        self.lock = WorkerLock(str(database.url.sync_url), secrets.token_hex(WORKER_ID_LENGTH // 2))
        """Proves to other workers of this machine that this one is alive, so that they do not take over its jobs."""
        self._dialect = database.engine.dialect.name
        self._takeover_at = 0.0
        self._taken_over_ids = set[int | None]()
        """Jobs of dead workers that this one has taken over."""
        self._held_jobs = HeldJobs(jobs)

    def _now(self, offset: timedelta = timedelta()) -> ColumnElement[datetime]:
        return database_time(self._dialect, offset)

    @cached_property
    def _is_known_job(self) -> ColumnElement[bool]:
        return col(Job.name).in_(sorted(self.jobs))

    @cached_property
    def _is_suspect(self) -> ColumnElement[bool]:
        """Match jobs that may have killed their workers, and jobs whose next attempt is the last one."""
        has_two_attempts = [name for name, definition in self.jobs.items() if definition.attempts == SUSPECT_ATTEMPTS]
        return or_(col(Job.attempt) >= SUSPECT_ATTEMPTS, col(Job.name).in_(has_two_attempts))

    @cached_property
    def _queues(self) -> Sequence[str]:
        return sorted({definition.queue for definition in self.jobs.values()})

    async def claim(
        self, limit: int, running: Collection[ClaimedJob] = (), completed: Collection[ClaimedJob] = ()
    ) -> list[ClaimedJob]:
        """Store completed jobs and claim due ones, in one transaction. Take over jobs of dead workers.

        Args:
            limit: Maximum number of jobs to claim.
            running: Jobs that this worker runs already.
            completed: Jobs to store as done.
        """
        claimed = list[ClaimedJob]()
        if limit and time.monotonic() >= self._takeover_at:
            claimed = await self._take_over(limit, running)  # first, because a backlog would use all slots
        async with self.database.writer() as session:
            if completed:
                await self._change(session, completed, self._values_of_end(JobState.DONE))
            has_group = any(job.group_name for job in completed)
            claimed += await self._claim_due_and_held(session, limit - len(claimed), releases_first=has_group)
        if len(claimed) < limit:
            completed_ids = {job.id for job in completed}
            still_running = [job for job in running if job.id not in completed_ids]
            claimed += await self._take_over(limit - len(claimed), [*still_running, *claimed])
        if claimed:
            self.lock.acquire()
        return sorted(claimed, key=lambda job: (job.priority, job.due_at, job.id))

    async def _claim_due_and_held(self, session: AsyncSession, limit: int, *, releases_first: bool) -> list[ClaimedJob]:
        """Claim due jobs, and release held jobs of groups while this worker can start more.

        With `releases_first`, a backlog of jobs without a group does not delay the next job of a group.
        """
        may_release_more = not releases_first or (await self._held_jobs.release(session)).may_release_more
        claimed = await self._claim_due(session, limit)
        while may_release_more and len(claimed) < limit:
            release = await self._held_jobs.release(session)
            may_release_more = release.may_release_more
            if release.job_count:
                claimed += await self._claim_due(session, limit - len(claimed))
        return claimed

    async def _claim_due(self, session: AsyncSession, limit: int) -> list[ClaimedJob]:
        claimed = list[ClaimedJob]()
        for queue in self._queues:
            if free_slots := limit - len(claimed):
                allowed = await allowed_claims(session, queue, self.limits, free_slots)
                if allowed:
                    is_due = and_(IS_WAITING, col(Job.queue) == queue, col(Job.due_at) <= self._now())
                    claimed += await self._claim(session, allowed, is_due)
        return claimed

    async def _claim(self, session: AsyncSession, limit: int, is_claimable: ColumnElement[bool]) -> list[ClaimedJob]:
        """Claim the first jobs that match and that no other worker has locked."""
        order = col(Job.priority), col(Job.due_at), col(Job.id)
        first = select(col(Job.id)).where(is_claimable, self._is_known_job).order_by(*order).limit(limit)
        ids = first.with_for_update(skip_locked=True)
        changes = {
            "state": JobState.RUNNING,
            "attempt": col(Job.attempt) + 1,
            "claim": self.lock.worker + secrets.token_hex(ATTEMPT_ID_BYTES),
            "lease_until": lease_end(self._dialect),
            "started_at": self._now(),
        }
        statement = update(Job).where(has_id(self._dialect, ids)).values(changes).returning(*CLAIMED_COLUMNS)
        rows = await session.execute(statement, execution_options={"synchronize_session": False})
        return [ClaimedJob(*row) for row in rows]

    def _values_of_end(self, state: JobState) -> dict[str, Any]:
        # Completed jobs need no arguments, which may hold personal data.
        cleared: dict[str, Any] = {"arguments": []} if state == JobState.DONE else {}
        return {"state": state, "error": "", "ended_at": self._now(), **cleared, **NO_CLAIM}

    async def _take_over(self, limit: int, running: Collection[ClaimedJob]) -> list[ClaimedJob]:
        """Claim jobs of dead workers, whose leases have expired."""
        self._takeover_at = time.monotonic() + TAKEOVER_INTERVAL_SECONDS
        has_expired = and_(
            IS_RUNNING, col(Job.lease_until) < self._now(), col(Job.claim).not_in([job.claim for job in running])
        )
        expired_jobs = select(col(Job.id)).where(has_expired)
        async with self.database.reader(fresh=True) as session:
            if not await session.scalar(select(expired_jobs.exists())):
                return []
        # The worker may be alive but slow, which its lock shows on this machine.
        live_workers = await to_thread(self.lock.living_workers)
        for worker, job_ids in (await to_thread(self.lock.started_by_dead_workers)).items():
            await self._release_unstarted(worker, job_ids)
        is_dead = func.substr(col(Job.claim), 1, WORKER_ID_LENGTH).not_in(live_workers)
        async with self.database.writer() as session:
            claimed = await self._claim(session, limit, and_(has_expired, is_dead, not_(self._is_suspect)))
            self._taken_over_ids &= {job.id for job in running}
            # Beside the job that kills workers, others would lose all their attempts.
            if not claimed and not self._taken_over_ids:
                claimed = await self._claim(session, 1, and_(has_expired, is_dead, self._is_suspect))
        self._taken_over_ids |= {job.id for job in claimed}
        return claimed

    async def _release_unstarted(self, worker: str, started_ids: list[int]) -> None:
        """Return jobs to the queue that a dead worker had claimed and not started."""
        is_of_worker = func.substr(col(Job.claim), 1, WORKER_ID_LENGTH) == worker
        is_unstarted = and_(IS_RUNNING, is_of_worker, not_(has_id(self._dialect, started_ids)))
        async with self.database.writer() as session:
            await session.execute(update(Job).where(is_unstarted).values(UNSTARTED))
        self.lock.forget(worker)

    async def seconds_to_next(self) -> float | None:
        """Return the seconds until a job is due or a lease ends; None if no job waits or runs."""
        due_at = select(func.min(col(Job.due_at))).where(IS_WAITING, self._is_known_job)
        lease_until = select(func.min(col(Job.lease_until))).where(IS_RUNNING, self._is_known_job)
        held_until = select(func.min(col(Job.due_at))).where(IS_HELD, self._is_known_job, col(Job.due_at) > self._now())
        next_times = [query.scalar_subquery() for query in (due_at, held_until, lease_until)]
        is_due = IS_HELD & self._is_known_job & (col(Job.due_at) <= self._now())
        has_due_held_jobs = select(col(Job.id)).where(is_due).exists()
        async with self.database.reader(fresh=True) as session:
            row = (await session.execute(select(*next_times, has_due_held_jobs, self._now()))).one()
        *due_times, is_held, now = row
        seconds = [(due_time - now).total_seconds() for due_time in due_times if due_time]
        if is_held:
            seconds.append(HELD_RETRY_SECONDS)
        return min(seconds, default=None)

    async def renew(self, jobs: Collection[ClaimedJob]) -> set[int]:
        """Renew the leases of these jobs and return the ids of cancelled ones."""
        renewal = renew_statement(self._dialect, jobs).returning(col(Job.id), col(Job.cancel_asked))
        async with self.database.writer() as session:
            rows = await session.execute(renewal, execution_options={"synchronize_session": False})
            return {job_id for job_id, cancelled in rows if cancelled}

    def renew_from_thread(self, jobs: Collection[ClaimedJob]) -> None:
        """Renew the leases on a new connection, because a thread cannot use connections of the event loop."""
        engine = create_writing_engine(self.database.url)
        with engine.begin() as connection:
            connection.execute(renew_statement(self._dialect, jobs))

    async def end(self, job: ClaimedJob, state: JobState, error: str = "") -> None:
        # The claim after the last attempt runs only `on_failure`.
        attempt = min(job.attempt, self.jobs[job.name].attempts)
        values = {**self._values_of_end(state), "error": error, "attempt": attempt}
        async with self.database.writer() as session:
            await self._change(session, [job], values)

    async def postpone(self, job: ClaimedJob, seconds: float, error: str) -> None:
        """Retry a failed job later, unless a user has cancelled it."""
        is_cancelled = col(Job.cancel_asked)
        state = case((is_cancelled, JobState.CANCELLED), else_=waiting_state())
        values = {"state": state, "due_at": self._now(timedelta(seconds=seconds)), "error": error, **NO_CLAIM}
        values["ended_at"] = case((is_cancelled, self._now()), else_=None)
        async with self.database.writer() as session:
            await self._change(session, [job], values)

    async def release(self, *jobs: ClaimedJob) -> None:
        """Return jobs of this worker to the queue. The attempt does not count."""
        async with self.database.writer() as session:
            await self._change(session, jobs, UNSTARTED)

    async def report(self, job: ClaimedJob, done: int, total: int, note: str) -> None:
        """Store the progress of a job. Numbers that are too large for their columns, such as bytes, are scaled.

        Raises:
            JobCancelled: Another worker has taken over the job, or a user has cancelled it.
        """
        scale = 1 + max(done, total) // 2**31
        values = {"done": done // scale, "total": total // scale, "note": note}
        async with self.database.writer() as session:
            await renew_lease(session, job)
            await self._change(session, [job], values)

    async def _change(self, session: AsyncSession, jobs: Iterable[ClaimedJob], values: Mapping[str, Any]) -> None:
        """Change jobs that this worker still holds."""
        await session.execute(update(Job).where(is_claimed(self._dialect, jobs)).values(values))

    async def prune(self) -> None:
        """Delete jobs that ended long ago."""
        for state in ENDED_STATES:
            is_old = (col(Job.state) == state) & (col(Job.ended_at) < self._now(-RETENTION[state]))
            await delete_in_batches(self.database, Job, is_old)
