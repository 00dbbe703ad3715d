"""The job queue of a site, in its database. With JOBS=inline, the site also runs the jobs."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.database import Database, after_commit, before_commit
from opportune.db.models.model import utc_now
from opportune.errors import NotFound
from opportune.jobs import JobCall, JobDefinition, JobQueue, management
from opportune.jobs.models import ENDED, Job, JobState
from opportune.jobs.requests import RequestWork
from opportune.jobs.store import JobStore, insert_job
from opportune.jobs.worker import SHUTDOWN_TIMEOUT_SECONDS, Worker
from opportune.runtime.services import Services
from opportune.runtime.tasks import cancel_and_wait
from opportune.storage import Storage

STARTUP_DELAY_SECONDS = 1.0
"""Seconds until the first check of the queue, so that the first page is faster."""
POLL_INTERVAL_SECONDS = 60.0
"""Seconds after which a process that uses its database checks for jobs of other processes."""


class DatabaseJobQueue(JobQueue):
    """Queues jobs as rows. `running()` runs them in this process or leaves them to a worker, by the setting JOBS."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        jobs: Iterable[JobDefinition[Any]],
        services: Services | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.jobs = {job.name: job for job in jobs}
        services = services or Services(settings=settings, database=database, storage=storage)
        self.worker = Worker(JobStore(database, self.jobs), self.jobs, services)
        self.request_work = RequestWork(self.worker) if settings.jobs == "request" else None
        self.is_inline = settings.jobs == "inline" and database.url.kind != "memory"
        self.queued = False
        """Whether this process has queued jobs."""
        database.info["jobs"] = self

    async def enqueue(self, call: JobCall[Any], *, key: str = "", delay: float = 0) -> str:
        async with self.database.writer() as session:
            job_id = await self._add(session, call, key, delay)
        await self._wake_worker()
        await asyncio.sleep(0)  # lets other writers run between many calls in a row
        return str(job_id)

    def defer(self, session: AsyncSession, call: JobCall[Any], *, key: str = "", delay: float = 0) -> None:
        self._check(call)

        async def queue() -> None:
            await self._add(session, call, key, delay)

        before_commit(session, queue)
        after_commit(session, self._wake_worker)

    async def retry(self, session: AsyncSession, job_id: int) -> None:
        """See `opportune.jobs.management.retry`."""
        await management.retry(session, job_id)
        after_commit(session, self._wake_worker)

    async def retry_failed(self, session: AsyncSession, name: str = "") -> int:
        """See `opportune.jobs.management.retry_failed`."""
        after_commit(session, self._wake_worker)
        return await management.retry_failed(session, name)

    async def cancel(self, session: AsyncSession, job_id: int) -> None:
        """See `opportune.jobs.management.cancel`. The next scheduled run is still queued."""
        await management.cancel(session, job_id)
        await self.worker.plan_after(session, await management.find(session, job_id))

    async def _add(self, session: AsyncSession, call: JobCall[Any], key: str, delay: float) -> int:
        self._check(call)
        return await insert_job(session, call.job.name, call.arguments, key, utc_now() + timedelta(seconds=delay))

    def _check(self, call: JobCall[Any]) -> None:
        if call.job.name not in self.jobs:
            raise LookupError(f"No installed feature lists the job {call.job.name}. Add it to Feature(jobs=[…]).")

    async def _wake_worker(self) -> None:
        self.queued = True
        self.worker.wake()
        if self.request_work:
            self.request_work.wake()

    async def drain(self) -> None:
        """Run the jobs that this process has queued before it ends, unless a worker runs them."""
        if self.queued and (self.is_inline or self.request_work):
            await self.worker.drain()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run jobs until the block ends, if this process runs jobs."""
        if self.request_work:
            async with self.request_work.open():
                yield
            return
        if not self.is_inline:
            yield
            return
        before, self.database.on_write = self.database.on_write, self._poll_sometimes
        task = asyncio.create_task(self.worker.work(delay=STARTUP_DELAY_SECONDS))
        try:
            yield
        finally:
            self.database.on_write = before
            self.worker.stop()
            await asyncio.wait([task], timeout=SHUTDOWN_TIMEOUT_SECONDS)
            await cancel_and_wait(task)

    def _poll_sometimes(self) -> None:
        if monotonic() - self.worker.polled_at > POLL_INTERVAL_SECONDS:
            self.worker.wake()

    async def finished(self, job_id: str) -> JobState:
        """Wait until a job has ended, and return its state.

        Raises:
            NotFound: The job does not exist.
        """
        while True:
            job_ended = self.worker.ended
            async with self.database.reader(fresh=True) as session:
                state = await session.scalar(select(col(Job.state)).where(col(Job.id) == int(job_id)))
            if state is None:
                raise NotFound
            if state in ENDED:
                return JobState(state)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):  # it may end in another process
                    await job_ended.wait()
