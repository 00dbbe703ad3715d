"""The job queue of a site, in its own database; `inline`, the site does the jobs as well."""

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
"""Seconds until what an earlier process has left is looked for: the first page comes first."""
POLL_INTERVAL_SECONDS = 60.0
"""Seconds after which a process whose database is in use anyway looks for what others have queued or left."""


class DatabaseJobQueue(JobQueue):
    """Queues jobs as rows. `running()` does them in this process, or leaves them to a worker, as JOBS says."""

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
        self.request_work = _request_work(self.worker) if settings.jobs == "request" else None
        self.is_inline = settings.jobs == "inline" and database.url.kind != "memory"
        self.queued = False
        """Whether this process has queued anything."""
        database.info["jobs"] = self

    async def enqueue(self, call: JobCall[Any], *, key: str = "", delay: float = 0) -> str:
        async with self.database.writer() as session:
            job_id = await self._add(session, call, key, delay)
        await self._tell()
        await asyncio.sleep(0)  # who queues many in a row would overtake all others that wait to write
        return str(job_id)

    def defer(self, session: AsyncSession, call: JobCall[Any], *, key: str = "", delay: float = 0) -> None:
        self._check(call)

        async def queue() -> None:
            await self._add(session, call, key, delay)

        before_commit(session, queue)
        after_commit(session, self._tell)

    async def retry(self, session: AsyncSession, job_id: int) -> None:
        """See `opportune.jobs.management.retry`."""
        await management.retry(session, job_id)
        after_commit(session, self._tell)

    async def retry_failed(self, session: AsyncSession, name: str = "") -> int:
        """See `opportune.jobs.management.retry_failed`."""
        after_commit(session, self._tell)
        return await management.retry_failed(session, name)

    async def cancel(self, session: AsyncSession, job_id: int) -> None:
        """See `opportune.jobs.management.cancel`. A schedule goes on after it."""
        await management.cancel(session, job_id)
        await self.worker.plan_after(session, await management.find(session, job_id))

    async def _add(self, session: AsyncSession, call: JobCall[Any], key: str, delay: float) -> int:
        self._check(call)
        return await insert_job(session, call.job.name, call.arguments, key, utc_now() + timedelta(seconds=delay))

    def _check(self, call: JobCall[Any]) -> None:
        if call.job.name not in self.jobs:
            raise LookupError(f"{call.job.name} is no job of an installed feature: list it in Feature(jobs=[…])")

    async def _tell(self) -> None:
        self.queued = True
        self.worker.wake()
        if self.request_work:
            self.request_work.stir()

    async def drain(self) -> None:
        """Do what this process has queued before it ends, where nobody else would soon."""
        if self.queued and (self.is_inline or self.request_work):
            await self.worker.drain()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do jobs until the block ends, where that is this process's part."""
        if self.request_work:
            async with self.request_work.open():
                yield
            return
        if not self.is_inline:
            yield
            return
        before, self.database.on_write = self.database.on_write, self._look_now_and_then
        task = asyncio.create_task(self.worker.work(delay=STARTUP_DELAY_SECONDS))
        try:
            yield
        finally:
            self.database.on_write = before
            self.worker.stop()
            await asyncio.wait([task], timeout=SHUTDOWN_TIMEOUT_SECONDS)
            await cancel_and_wait(task)

    def _look_now_and_then(self) -> None:
        if monotonic() - self.worker.looked > POLL_INTERVAL_SECONDS:
            self.worker.wake()

    async def finished(self, job_id: str) -> JobState:
        """Wait until a job has ended, and tell how.

        Raises:
            NotFound: there is no such job.
        """
        while True:
            ended = self.worker.ended
            async with self.database.reader(fresh=True) as session:
                state = await session.scalar(select(col(Job.state)).where(col(Job.id) == int(job_id)))
            if state is None:
                raise NotFound
            if state in ENDED:
                return JobState(state)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):  # it may end in another process
                    await ended.wait()


def _request_work(worker: Worker) -> "RequestWork":

    return RequestWork(worker)
