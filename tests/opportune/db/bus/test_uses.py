"""Messages between the processes of a site: new jobs and cleared pages."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.visitors import visitors
from opportune.config.settings import Settings
from opportune.db import Database, open_database
from opportune.jobs.models import Job, JobState
from opportune.services import Services
from opportune.web.cache import open_cache
from opportune.web.cache.store import CacheEntry
from opportune.web.rate_limit import RateLimit, RateLimiter, TooManyRequests
from tests.opportune.jobs.tasks import TASKS, job_queue, register
from tests.opportune.waiting import wait_until

pytestmark = pytest.mark.database("postgresql")

SEARCHES = RateLimit("test.searches", 2, storage="cache")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"bus": "postgresql"})


@pytest.fixture
async def other_database(settings: Settings) -> AsyncIterator[Database]:
    """The database as another process opens it."""
    async with open_database(settings) as database:
        yield database


async def test_new_job_wakes_other_worker(settings: Settings, database: Database, other_database: Database) -> None:
    queue = job_queue(settings, database, TASKS)
    other_queue = job_queue(settings, other_database, TASKS)
    async with asyncio.timeout(60), other_database.bus.listening():
        await wait_until(lambda: other_database.bus.is_connected)
        worker = asyncio.create_task(other_queue.worker.work(poll=None))
        job_id = await queue.enqueue(register("a"))
        async with database.reader() as session:
            while await session.scalar(select(col(Job.state)).where(col(Job.id) == int(job_id))) != JobState.DONE:
                await session.rollback()
        other_queue.worker.stop()
        await worker


async def test_clearing_reaches_other_caches(settings: Settings, database: Database, other_database: Database) -> None:
    cache = open_cache(Services(settings=settings, database=database))
    other_cache = open_cache(Services(settings=settings, database=other_database))
    lookup = await other_cache.store.find("key", ("events",))
    await other_cache.store.save("key", CacheEntry(b"old", 0), lookup.tag_versions, 60)
    async with asyncio.timeout(60), other_database.bus.listening():
        await wait_until(lambda: other_database.bus.is_connected)
        await cache.clear("events")
        while (await other_cache.store.find("key", ("events",))).entry:
            await asyncio.sleep(0.01)
    await cache.close()
    await other_cache.close()


async def test_all_processes_count_requests(settings: Settings, database: Database, other_database: Database) -> None:
    limiters = [
        Services(visitors.process.services, settings=settings, database=process_database).get(RateLimiter)
        for process_database in (database, other_database)
    ]
    for limiter in limiters:
        await limiter.hit(SEARCHES.by("visitor"))
    with pytest.raises(TooManyRequests):
        await limiters[0].hit(SEARCHES.by("visitor"))
