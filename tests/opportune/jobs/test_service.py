"""Queueing of jobs, in a transaction and without one."""

from datetime import timedelta

import pytest

from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.errors import NotFound
from opportune.jobs import defer, management
from opportune.jobs.models import Job, JobState
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.jobs.conftest import Emails, Find
from tests.opportune.jobs.tasks import hourly, register


async def queued_names(database: Database) -> list[str]:
    async with database.reader() as session:
        return [job.name for job in await management.newest_jobs(session, None, 100)]


@pytest.mark.database("sqlite", "postgresql")
async def test_deferred_job_runs_after_the_commit(jobs: DatabaseJobQueue, database: Database, emails: Emails) -> None:
    async with database.writer() as session:
        defer(session, register("ann@example.com"))
        assert await queued_names(database) == []
    assert await queued_names(database) == ["test.register"]
    assert await jobs.wait_until_ended("1") == JobState.DONE
    assert await emails() == ["ann@example.com"]


async def test_rollback_discards_a_deferred_job(idle_queue: DatabaseJobQueue, database: Database) -> None:
    async with database.writer() as session:
        defer(session, register("ann@example.com"))
        await session.rollback()
    assert await queued_names(database) == []


@pytest.mark.database("sqlite", "postgresql")
async def test_same_key_queues_one_job(jobs: DatabaseJobQueue, database: Database, emails: Emails) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"), key="e-mail 1")
    assert await jobs.enqueue(register("bob@example.com"), key="e-mail 1") == job_id
    assert await jobs.wait_until_ended(job_id) == JobState.DONE
    async with database.writer() as session:
        defer(session, register("cid@example.com"), key="e-mail 1")
    other_id = await jobs.enqueue(register("dan@example.com"), key="e-mail 2")
    assert await jobs.wait_until_ended(other_id) == JobState.DONE
    assert await emails() == ["ann@example.com", "dan@example.com"]


async def test_delayed_job_waits(jobs: DatabaseJobQueue, find: Find) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"), delay=3600)
    assert await jobs.worker.check_queue() == pytest.approx(3600, abs=60)
    assert (await find(job_id)).state == JobState.WAITING


async def test_unlisted_job_cannot_be_queued(idle_queue: DatabaseJobQueue, database: Database) -> None:
    with pytest.raises(LookupError, match=r"No installed feature lists the job test\.hourly"):
        await idle_queue.enqueue(hourly())
    with pytest.raises(LookupError):
        async with database.writer() as session:
            defer(session, hourly())


async def test_job_of_a_removed_feature_waits(jobs: DatabaseJobQueue, database: Database, find: Find) -> None:
    async with database.writer() as session:
        session.add(Job(name="removed.job", due_at=utc_now() - timedelta(days=1)))
    assert await jobs.wait_until_ended(await jobs.enqueue(register("ann@example.com"))) == JobState.DONE
    assert (await find("1")).state == JobState.WAITING
    assert await jobs.worker.check_queue() is None


async def test_waiting_for_a_missing_job_is_not_found(idle_queue: DatabaseJobQueue) -> None:
    with pytest.raises(NotFound):
        await idle_queue.wait_until_ended("7")
