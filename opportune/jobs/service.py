"""The job queue of a site, in its database. With JOBS=inline, the site also runs the jobs."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from time import monotonic
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.sessions.session import after_commit, before_commit
from opportune.errors import require_found
from opportune.feature import Feature
from opportune.jobs import JobCall, JobDefinition, JobQueue, management
from opportune.jobs.job_insertion import insert_job
from opportune.jobs.models import ENDED_STATES, Job, JobState
from opportune.jobs.requests import RequestWork
from opportune.jobs.store import JobStore
from opportune.jobs.worker import SHUTDOWN_TIMEOUT_SECONDS, Worker
from opportune.services import Services
from opportune.services.observers import observers
from opportune.services.tasks import cancel_and_wait
from opportune.storage import Storage

STARTUP_DELAY_SECONDS = 1.0
"""Seconds until the first check of the queue, so that the first page is faster."""
POLL_INTERVAL_SECONDS = 60.0
"""Seconds after which a process that uses its database checks for jobs of other processes."""
BUS_TOPIC = "jobs"
"""Topic of messages that jobs are queued."""


class DatabaseJobQueue(JobQueue):
    """Stores queued jobs as rows. The setting JOBS decides whether this process or a separate worker runs them."""

    def __init__(self, services: Services, jobs: Iterable[JobDefinition[Any]]) -> None:
        """Open the queue of these jobs, and connect the database's sessions to it."""
        self.settings: Settings = services.settings
        self.database: Database = services.database
        self.jobs = {job.name: job for job in jobs}
        self.worker = Worker(JobStore(self.database, self.jobs, self.settings.jobs_limits), services)
        self.request_work = RequestWork(self.worker) if self.settings.jobs == "request" else None
        self.is_inline = self.settings.jobs == "inline" and self.database.url.kind != "memory"
        self.has_queued_jobs = False
        """Whether this process has queued a job since it started."""
        self.database.bus.subscribe(BUS_TOPIC, lambda _: self.worker.wake())
        self.database.info["jobs"] = self

    async def enqueue(self, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0) -> str:
        async with self.database.writer() as session:
            job_id = await self._add(session, call, key, group, delay)
        await self._wake_worker()
        await asyncio.sleep(0)  # lets other writers run between many calls in a row
        return str(job_id)

    def defer(
        self, session: AsyncSession, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0
    ) -> None:
        async def queue() -> None:
            await self._add(session, call, key, group, delay)

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
        job = await management.find_job(session, job_id)
        await self.worker.scheduler.queue_run(session, job.name, job.due_at)

    async def _add(self, session: AsyncSession, call: JobCall[Any], key: str, group: str, delay: float) -> int:
        self.check(call, key, group, delay)
        for observer in observers:
            observer.job_queued(call.job.name, call.arguments)
        return await insert_job(session, call, key, group=group, delay=delay)

    async def _wake_worker(self) -> None:
        self.has_queued_jobs = True
        self.worker.wake()
        self.database.bus.publish(BUS_TOPIC)
        if self.request_work:
            self.request_work.wake()

    async def drain(self) -> None:
        """Run the jobs that this process has queued before it ends, unless a worker runs them."""
        if self.has_queued_jobs and (self.is_inline or self.request_work):
            await self.worker.drain()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return a context manager that runs jobs until its end, if the setting JOBS lets this process run them."""
        if self.request_work:
            return self.request_work.open()
        return self._working() if self.is_inline else nullcontext()

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        previous_callback = self.database.on_write
        self.database.on_write = self._wake_if_poll_is_due
        task = asyncio.create_task(self.worker.work(delay=STARTUP_DELAY_SECONDS))
        try:
            yield
        finally:
            self.database.on_write = previous_callback
            self.worker.stop()
            await asyncio.wait([task], timeout=SHUTDOWN_TIMEOUT_SECONDS)
            await cancel_and_wait(task)

    def _wake_if_poll_is_due(self) -> None:
        if monotonic() - self.worker.polled_at > POLL_INTERVAL_SECONDS:
            self.worker.wake()

    async def wait_until_ended(self, job_id: str) -> JobState:
        """Wait until a job has ended, and return its state.

        Raises:
            NotFound: The job does not exist.
        """
        while True:
            attempt_ended = self.worker.attempt_ended
            async with self.database.reader(fresh=True) as session:
                state = require_found(await session.scalar(select(col(Job.state)).where(col(Job.id) == int(job_id))))
            if state in ENDED_STATES:
                return JobState(state)
            with suppress(TimeoutError):
                await asyncio.wait_for(attempt_ended.wait(), 1)  # check again: the job may end in another process


def open_services(settings: Settings, database: Database, storage: Storage, features: Sequence[Feature]) -> Services:
    service_definitions = (service for feature in features for service in feature.process.services)
    return Services(service_definitions, settings=settings, database=database, storage=storage, features=features)


def declared_jobs(features: Iterable[Feature]) -> list[JobDefinition[Any]]:
    return [job for feature in features for job in feature.jobs.definitions]
