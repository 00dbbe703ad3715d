"""Claims of jobs: priority, batches, limits of queues and groups, pauses and maximum durations."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from opportune.errors import OperatorError
from opportune.jobs import JobContext, JobDefinition, job, management, worker
from opportune.jobs.models import Job, JobState
from opportune.jobs.service import DatabaseJobQueue
from opportune.jobs.store import HELD_RETRY_SECONDS
from tests.opportune.jobs.conftest import Emails, Find, MakeQueue, cancel
from tests.opportune.jobs.tasks import hourly, job_queue, register, stumble, wait
from tests.opportune.stored_rows import execute, read_all
from tests.opportune.waiting import wait_until

both_databases = pytest.mark.database("sqlite", "postgresql")


@job("test.sleep", max_seconds=0.01, attempts=1)
async def sleep(run: JobContext) -> None:
    await asyncio.Event().wait()


async def claim(site: DatabaseJobQueue, limit: int = 9) -> list[str]:
    """Claim jobs, and return their arguments."""
    return [job.arguments[0] for job in await site.worker.store.claim(limit)]


async def enqueue(site: DatabaseJobQueue, definition: JobDefinition[[str]], *groups: str) -> None:
    """Queue a job for each group. Its argument is the group with a number."""
    for number, group in enumerate(groups):
        await site.enqueue(definition(f"{group}{number}"), group=group)


@both_databases
async def test_jobs_of_a_group_run_one_after_the_other(make_queue: MakeQueue) -> None:
    site, other_site = make_queue(), make_queue()
    await enqueue(site, register, "a", "a", "a")
    first = await site.worker.store.claim(9)
    assert [job.arguments for job in first] == [["a0"]]
    assert await claim(other_site) == []
    assert [job.arguments for job in await site.worker.store.claim(9, completed=first)] == [["a1"]]


@both_databases
async def test_group_limit_allows_several_jobs_at_a_time(make_queue: MakeQueue) -> None:
    parallel = replace(register, group_limit=2)
    site = make_queue(parallel)
    await enqueue(site, parallel, "a", "a", "a")
    assert [await claim(site), await claim(site)] == [["a0", "a1"], []]


@both_databases
async def test_worker_wakes_for_a_job_held_after_its_claim(make_queue: MakeQueue) -> None:
    site = make_queue()
    assert await claim(site) == []
    await enqueue(site, register, "a")  # in another process, which cannot wake the worker
    assert await site.worker.store.seconds_to_next() == HELD_RETRY_SECONDS


@pytest.mark.parametrize(
    ("state", "minutes", "claimed"),
    [(JobState.HELD, 0, ["a1"]), (JobState.WAITING, 61, ["a1"]), (JobState.WAITING, 59, [])],
)
async def test_job_without_code_blocks_its_group_for_an_hour(
    make_queue: MakeQueue, database: Database, state: JobState, minutes: int, claimed: list[str]
) -> None:
    removed = replace(register, name="test.removed")
    await enqueue(make_queue(removed), removed, "a")
    await execute(database, update(Job).values(state=state, due_at=utc_now() - timedelta(minutes=minutes)))
    site = make_queue()
    await site.enqueue(register("a1"), group="a")
    assert await claim(site) == claimed


async def test_groups_take_turns(make_queue: MakeQueue, emails: Emails) -> None:
    site = make_queue()
    site.worker.concurrency = 1
    await enqueue(site, register, "a", "a", "a", "a", "b", "c")
    await asyncio.wait_for(site.worker.drain(), 30)
    assert set((await emails())[:3]) == {"a0", "b4", "c5"}
    assert len(await emails()) == 6


async def test_failing_job_does_not_block_its_group(make_queue: MakeQueue, database: Database) -> None:
    failing = replace(stumble, wait=3600)
    site = make_queue(failing, register)
    await site.enqueue(failing(9), group="a")
    await site.enqueue(register("ann@example.com"), group="a")
    await asyncio.wait_for(site.worker.drain(), 30)
    states = await read_all(database, select(col(Job.state)).order_by(col(Job.id)))
    assert states == [JobState.HELD, JobState.DONE]


async def test_held_job_can_be_cancelled(idle_queue: DatabaseJobQueue, find: Find) -> None:
    job_id = await idle_queue.enqueue(register("a"), group="a")
    await cancel(idle_queue, job_id)
    assert (await find(job_id)).state == JobState.CANCELLED


@both_databases
@pytest.mark.parametrize(
    ("limits", "running"), [pytest.param({"default": 1}, 2, id="a queue"), pytest.param({"*": 1}, 1, id="all queues")]
)
async def test_jobs_are_limited(settings: Settings, database: Database, limits: dict[str, int], running: int) -> None:
    limited = settings.model_copy(update={"jobs_limits": limits})
    definitions = register, replace(register, name="test.other", queue="other")
    site = job_queue(limited, database, definitions)
    for definition in (*definitions, register):
        await site.enqueue(definition("a"))
    assert len(await claim(site) + await claim(site)) == running


async def test_paused_queue_starts_no_job(idle_queue: DatabaseJobQueue, database: Database) -> None:
    await idle_queue.enqueue(register("a"))
    async with database.writer() as session:
        await management.pause(session, "default")
    assert await claim(idle_queue) == []
    async with database.writer() as session:
        assert await management.resume(session, "default")
    assert await claim(idle_queue) == ["a"]


@pytest.mark.parametrize("option", [{"priority": 40_000}, {"queue": "q" * 60}, {"group_limit": 40_000}])
def test_option_that_no_row_can_store_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(OperatorError, match=rf"^job\('test.register', {min(option)}=…\) must"):
        replace(register, **option)


async def test_attempt_ends_after_its_maximum_duration(make_queue: MakeQueue, find: Find) -> None:
    site = make_queue(sleep)
    job_id = await site.enqueue(sleep())
    await asyncio.wait_for(site.worker.drain(), 30)
    ended = await find(job_id)
    assert (ended.state, ended.error) == (JobState.FAILED, "The job took longer than 0.01 s.")


async def read_states(database: Database) -> list[tuple[JobState, int]]:
    return [(job.state, job.attempt) for job in await read_all(database, Job)]


@both_databases
async def test_job_with_a_lower_priority_number_runs_first(make_queue: MakeQueue) -> None:
    urgent = replace(register, name="test.urgent", priority=-1)
    site = make_queue(register, urgent)
    for definition in (register, urgent, register):
        await site.enqueue(definition("ann@example.com"))
    assert [job.name for job in await site.worker.store.claim(2)] == ["test.urgent", "test.register"]


@both_databases
async def test_workers_share_the_jobs_of_a_batch(make_queue: MakeQueue, database: Database, emails: Emails) -> None:
    sites = [make_queue(), make_queue()]
    addresses = [f"user{number:02}@example.com" for number in range(16)]
    for address in addresses:
        await sites[0].enqueue(register(address))
    async with asyncio.timeout(30):
        await asyncio.gather(*(site.worker.drain() for site in sites))
    assert sorted(await emails()) == addresses
    assert await read_states(database) == [(JobState.DONE, 1)] * len(addresses)


async def test_end_without_a_claim_changes_nothing(idle_queue: DatabaseJobQueue, database: Database) -> None:
    await idle_queue.enqueue(wait())
    claimed = await idle_queue.worker.store.claim(9)
    await execute(database, update(Job).values(claim="of another worker"))
    await idle_queue.worker.store.claim(0, completed=claimed)
    assert await read_states(database) == [(JobState.RUNNING, 1)]


@pytest.mark.parametrize("are_held_too_long", [False, True], ids=["at the end", "behind a slow job"])
async def test_prefetched_jobs_return_to_the_queue(
    idle_queue: DatabaseJobQueue, monkeypatch: pytest.MonkeyPatch, *, are_held_too_long: bool
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
            assert (await read_states(idle_queue.database))[1:] == [(JobState.RUNNING, 1), *[(JobState.WAITING, 0)] * 2]
    assert await read_states(idle_queue.database) == [(JobState.DONE, 1), *[(JobState.WAITING, 0)] * 3]


async def holds_jobs(site: DatabaseJobQueue, number: int) -> bool:
    return len(site.worker._waiting) == number and len(site.worker._attempts) == number + 1


async def test_next_run_is_queued_if_the_clock_is_slow(make_queue: MakeQueue, database: Database) -> None:
    site = make_queue(hourly)
    due_at = utc_now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    await site.worker.scheduler.queue_runs({hourly.name: due_at})
    assert await read_all(database, select(col(Job.due_at))) == [due_at + timedelta(hours=1)]
