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


async def queued(database: Database) -> list[str]:
    async with database.reader() as session:
        return [job.name for job in await management.newest(session, None, 100)]


async def test_what_is_deferred_is_done_after_the_commit(
    jobs: DatabaseJobQueue, database: Database, emails: Emails
) -> None:
    async with database.writer() as session:
        defer(session, register("ann@example.com"))
        assert await queued(database) == []
    assert await queued(database) == ["test.register"]
    assert await jobs.finished("1") == JobState.DONE
    assert await emails() == ["ann@example.com"]


@pytest.mark.database("sqlite")
async def test_what_is_deferred_is_gone_with_its_transaction(idle_queue: DatabaseJobQueue, database: Database) -> None:
    async with database.writer() as session:
        defer(session, register("ann@example.com"))
        await session.rollback()
    assert await queued(database) == []


async def test_the_same_key_is_the_same_job(jobs: DatabaseJobQueue, database: Database, emails: Emails) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"), key="letter 1")
    assert await jobs.enqueue(register("bob@example.com"), key="letter 1") == job_id
    assert await jobs.finished(job_id) == JobState.DONE
    async with database.writer() as session:
        defer(session, register("cid@example.com"), key="letter 1")
    other = await jobs.enqueue(register("dan@example.com"), key="letter 2")
    assert await jobs.finished(other) == JobState.DONE
    assert await emails() == ["ann@example.com", "dan@example.com"]


@pytest.mark.database("sqlite")
async def test_a_job_for_later_waits(jobs: DatabaseJobQueue, find: Find) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"), delay=3600)
    assert await jobs.worker.look() == pytest.approx(3600, abs=60)
    assert (await find(job_id)).state == JobState.WAITING


@pytest.mark.database("sqlite")
async def test_what_no_feature_lists_cannot_be_queued(idle_queue: DatabaseJobQueue, database: Database) -> None:
    with pytest.raises(LookupError, match=r"test\.hourly is no job of an installed feature"):
        await idle_queue.enqueue(hourly())
    with pytest.raises(LookupError):
        async with database.writer() as session:
            defer(session, hourly())


@pytest.mark.database("sqlite")
async def test_a_job_whose_feature_is_gone_waits_for_it(jobs: DatabaseJobQueue, database: Database, find: Find) -> None:
    long_due = utc_now() - timedelta(days=1)
    async with database.writer() as session:
        session.add(Job(name="gone.remember", due_at=long_due))
    assert await jobs.finished(await jobs.enqueue(register("ann@example.com"))) == JobState.DONE
    assert (await find("1")).state == JobState.WAITING
    assert await jobs.worker.look() is None


@pytest.mark.database("sqlite")
async def test_nobody_can_wait_for_a_job_that_is_not_there(idle_queue: DatabaseJobQueue) -> None:
    with pytest.raises(NotFound):
        await idle_queue.finished("7")
