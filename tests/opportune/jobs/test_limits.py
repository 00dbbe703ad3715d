"""Limits of queues and groups, pauses and maximum durations."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.jobs import JobContext, JobDefinition, job, management
from opportune.jobs.models import Job, JobState
from opportune.jobs.service import DatabaseJobQueue
from opportune.jobs.store import HELD_RETRY_SECONDS
from opportune.storage import open_storage
from tests.opportune.jobs.conftest import Emails, Find, MakeQueue, cancel
from tests.opportune.jobs.tasks import register, stumble


@job("test.sleep", max_seconds=0.01, attempts=1)
async def sleep(run: JobContext) -> None:
    await asyncio.Event().wait()


async def claim(site: DatabaseJobQueue, limit: int = 9) -> list[str]:
    """Claim jobs, and return their arguments."""
    jobs = await site.worker.store.claim(limit)
    site.worker.store.lock.release()
    return [job.arguments[0] for job in jobs]


async def enqueue(site: DatabaseJobQueue, definition: JobDefinition[[str]], *groups: str) -> None:
    """Queue a job for each group. Its argument is the group with a number."""
    for number, group in enumerate(groups):
        await site.enqueue(definition(f"{group}{number}"), group=group)


@pytest.mark.database("sqlite", "postgresql")
async def test_jobs_of_a_group_run_one_after_the_other(make_queue: MakeQueue) -> None:
    sites = [make_queue(), make_queue()]
    await enqueue(sites[0], register, "a", "a", "a")
    assert await claim(sites[0]) == ["a0"]
    assert await claim(sites[1]) == []


@pytest.mark.database("sqlite", "postgresql")
async def test_next_job_of_a_group_runs_after_an_end(make_queue: MakeQueue) -> None:
    site = make_queue()
    await enqueue(site, register, "a", "a")
    first = await site.worker.store.claim(9)
    (second,) = await site.worker.store.claim(9, completed=first)
    assert second.arguments == ["a1"]
    site.worker.store.lock.release()


@pytest.mark.database("sqlite", "postgresql")
async def test_group_limit_allows_several_jobs_at_a_time(make_queue: MakeQueue) -> None:
    parallel = replace(register, group_limit=2)
    site = make_queue(parallel)
    await enqueue(site, parallel, "a", "a", "a")
    assert [await claim(site), await claim(site)] == [["a0", "a1"], []]


@pytest.mark.database("sqlite", "postgresql")
async def test_held_job_starts_when_a_full_worker_is_free(make_queue: MakeQueue) -> None:
    site = make_queue()
    await site.enqueue(register("first"))
    completed = await site.worker.store.claim(1)
    await enqueue(site, register, "a")
    assert [job.arguments for job in await site.worker.store.claim(1, completed=completed)] == [["a0"]]
    site.worker.store.lock.release()


@pytest.mark.database("sqlite", "postgresql")
async def test_worker_wakes_for_a_job_held_after_its_claim(make_queue: MakeQueue) -> None:
    site = make_queue()
    assert await claim(site) == []
    await enqueue(site, register, "a")  # in another process, which cannot wake the worker
    assert await site.worker.store.seconds_to_next() == HELD_RETRY_SECONDS


@pytest.mark.database("sqlite", "postgresql")
async def test_groups_take_turns(make_queue: MakeQueue, database: Database, emails: Emails) -> None:
    site = make_queue()
    site.worker.concurrency = 1
    await enqueue(site, register, "a", "a", "a", "a", "b", "c")
    async with asyncio.timeout(30):
        await site.worker.drain()
    assert set((await emails())[:3]) == {"a0", "b4", "c5"}
    assert len(await emails()) == 6


@pytest.mark.database("sqlite", "postgresql")
async def test_failing_job_does_not_block_its_group(make_queue: MakeQueue, database: Database, emails: Emails) -> None:
    failing = replace(stumble, wait=3600)
    site = make_queue(failing, register)
    await site.enqueue(failing(9), group="a")
    await site.enqueue(register("ann@example.com"), group="a")
    async with asyncio.timeout(30):
        await site.worker.drain()
    assert "ann@example.com" in await emails()
    async with database.reader() as session:
        assert list(await session.scalars(select(col(Job.state)).order_by(col(Job.id)))) == [
            JobState.HELD,
            JobState.DONE,
        ]


@pytest.mark.database("sqlite", "postgresql")
async def test_held_job_can_be_cancelled(make_queue: MakeQueue, find: Find) -> None:
    site = make_queue()
    await site.enqueue(register("a"), group="a")
    job_id = await site.enqueue(register("b"), group="a")
    await cancel(site, job_id)
    assert (await find(job_id)).state == JobState.CANCELLED


@pytest.mark.database("sqlite", "postgresql")
async def test_queue_runs_at_most_its_limit(settings: Settings, database: Database) -> None:
    limited = settings.model_copy(update={"jobs_limits": {"default": 2}})
    site = DatabaseJobQueue(limited, database, open_storage(settings), [register])
    for number in range(3):
        await site.enqueue(register(f"{number}"))
    assert [await claim(site), await claim(site)] == [["0", "1"], []]


@pytest.mark.database("sqlite", "postgresql")
async def test_site_limit_counts_all_queues(settings: Settings, database: Database) -> None:
    other = replace(register, name="test.other", queue="other")
    limited = settings.model_copy(update={"jobs_limits": {"*": 1}})
    site = DatabaseJobQueue(limited, database, open_storage(settings), [register, other])
    await site.enqueue(other("a"))
    await site.enqueue(register("b"))
    assert len(await claim(site) + await claim(site)) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_paused_queue_starts_no_job(make_queue: MakeQueue, database: Database) -> None:
    site = make_queue()
    await site.enqueue(register("a"))
    async with database.writer() as session:
        await management.pause(session, "default")
    assert await claim(site) == []
    async with database.writer() as session:
        assert await management.resume(session, "default")
    assert await claim(site) == ["a"]


async def test_attempt_ends_after_its_maximum_duration(make_queue: MakeQueue, find: Find) -> None:
    site = make_queue(sleep)
    job_id = await site.enqueue(sleep())
    async with asyncio.timeout(30):
        await site.worker.drain()
    ended = await find(job_id)
    assert (ended.state, ended.error) == (JobState.FAILED, "The job took longer than 0.01 s.")
