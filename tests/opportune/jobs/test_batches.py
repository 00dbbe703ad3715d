"""Claims and ends of jobs in batches."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.jobs import worker
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedules import schedule_key
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.jobs.conftest import Emails, MakeQueue, wait_until
from tests.opportune.jobs.tasks import hourly, register, wait


async def read_states(database: Database) -> list[tuple[JobState, int]]:
    async with database.reader() as session:
        rows = await session.execute(select(col(Job.state), col(Job.attempt)).order_by(col(Job.id)))
        return [(state, attempt) for state, attempt in rows]


@pytest.mark.database("sqlite", "postgresql")
async def test_job_with_a_lower_priority_number_runs_first(make_queue: MakeQueue) -> None:
    urgent = replace(register, name="test.urgent", priority=-1)
    site = make_queue(register, urgent)
    for definition in (register, urgent, register):
        await site.enqueue(definition("ann@example.com"))
    assert [job.name for job in await site.worker.store.claim(2)] == ["test.urgent", "test.register"]


@pytest.mark.database("sqlite", "postgresql")
async def test_workers_share_the_jobs_of_a_batch(make_queue: MakeQueue, database: Database, emails: Emails) -> None:
    sites = [make_queue(), make_queue()]
    addresses = [f"user{number:02}@example.com" for number in range(16)]
    for address in addresses:
        await sites[0].enqueue(register(address))
    async with asyncio.timeout(30):
        await asyncio.gather(*(site.worker.drain() for site in sites))
    assert sorted(await emails()) == addresses
    assert await read_states(database) == [(JobState.DONE, 1)] * len(addresses)


@pytest.mark.database("sqlite", "postgresql")
async def test_end_without_a_claim_changes_nothing(idle_queue: DatabaseJobQueue, database: Database) -> None:
    await idle_queue.enqueue(wait())
    claimed = await idle_queue.worker.store.claim(9)
    async with database.writer() as session:
        await session.execute(update(Job).values(claim="of another worker"))
    await idle_queue.worker.store.claim(0, completed=claimed)
    assert await read_states(database) == [(JobState.RUNNING, 1)]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("are_held_too_long", [False, True], ids=["at the end", "behind a slow job"])
async def test_prefetched_jobs_return_to_the_queue(
    idle_queue: DatabaseJobQueue, database: Database, monkeypatch: pytest.MonkeyPatch, *, are_held_too_long: bool
) -> None:
    monkeypatch.setattr(worker, "PREFETCH_SECONDS", 1_000_000)
    idle_queue.worker.concurrency = 1
    for call in (register("ann@example.com"), wait(), wait(), wait()):
        await idle_queue.enqueue(call)
    async with idle_queue.running():
        await wait_until(partial(holds_jobs, idle_queue, 2))
        if are_held_too_long:
            monkeypatch.setattr(worker, "MAX_HELD_SECONDS", 0)
            idle_queue.worker.wake()
            await wait_until(partial(holds_jobs, idle_queue, 0))
            assert (await read_states(database))[1:] == [(JobState.RUNNING, 1), *[(JobState.WAITING, 0)] * 2]
    assert await read_states(database) == [(JobState.DONE, 1), *[(JobState.WAITING, 0)] * 3]


async def holds_jobs(site: DatabaseJobQueue, number: int) -> bool:
    return len(site.worker._waiting) == number and len(site.worker._attempts) == number + 1


async def test_next_run_is_queued_if_the_clock_is_slow(make_queue: MakeQueue, database: Database) -> None:
    site = make_queue(hourly)
    due_at = utc_now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    job = Job(name=hourly.name, key=schedule_key(hourly.name, due_at), due_at=due_at)
    await site.worker.scheduler.queue_runs({job.name: job.due_at})
    async with database.reader() as session:
        assert list(await session.scalars(select(col(Job.due_at)))) == [due_at + timedelta(hours=1)]
