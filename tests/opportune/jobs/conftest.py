"""Sites with the jobs of `tests/opportune/jobs/tasks.py`."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from opportune.jobs import JobDefinition, management
from opportune.jobs.models import Job
from opportune.jobs.service import DatabaseJobQueue
from opportune.jobs.worker_lock import WorkerLock
from tests.opportune.jobs.tasks import TASKS, gate, job_queue
from tests.opportune.stored_rows import execute, read_all

TIMEOUT_SECONDS = 30

MakeQueue = Callable[..., DatabaseJobQueue]
Find = Callable[[str], Coroutine[Any, Any, Job]]
Emails = Callable[[], Coroutine[Any, Any, list[str]]]


@pytest.fixture(autouse=True)
def _gate() -> Iterator[None]:
    with gate.closed():
        yield


@pytest.fixture
def make_queue(settings: Settings, database: Database) -> Iterator[MakeQueue]:
    """Make the queue of another process of the site, which runs no jobs yet."""
    queues: list[DatabaseJobQueue] = []

    def make(*tasks: JobDefinition[Any]) -> DatabaseJobQueue:
        queues.append(job_queue(settings, database, tasks or TASKS))
        return queues[-1]

    yield make
    for queue in queues:
        queue.worker.store.lock.release()


@pytest.fixture
def separate_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the locks of other workers, as on several machines, so that only leases count."""
    monkeypatch.setattr(WorkerLock, "living_workers", lambda _lock: [])


@pytest.fixture
def idle_queue(make_queue: MakeQueue) -> DatabaseJobQueue:
    return make_queue()


@pytest.fixture
async def jobs(idle_queue: DatabaseJobQueue) -> AsyncIterator[DatabaseJobQueue]:
    """The queue of this process, which runs its jobs."""
    async with idle_queue.running():
        yield idle_queue


@pytest.fixture
def find(database: Database) -> Find:
    async def find(job_id: str) -> Job:
        async with database.reader() as session:
            return await management.find_job(session, int(job_id))

    return find


async def set_attempt(queue: DatabaseJobQueue, job_id: str, attempt: int) -> None:
    """Set the number of attempts that a waiting job has begun."""
    job = col(Job.id) == int(job_id)
    await execute(queue.worker.store.database, update(Job).where(job).values(attempt=attempt))


async def expire_leases(database: Database) -> None:
    await execute(database, update(Job).values(lease_until=utc_now() - timedelta(seconds=1)))


async def retry(jobs: DatabaseJobQueue, job_id: int | str) -> None:
    async with jobs.database.writer() as session:
        await jobs.retry(session, int(job_id))


async def cancel(jobs: DatabaseJobQueue, job_id: int | str) -> None:
    async with jobs.database.writer() as session:
        await jobs.cancel(session, int(job_id))


@pytest.fixture
def emails(database: Database) -> Emails:
    """Read the e-mail addresses of users, which are the effects of jobs."""

    async def emails() -> list[str]:
        return await read_all(database, select(col(User.email)).order_by(col(User.id)))

    return emails
