import asyncio
import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.db.models.model import utc_now
from opportune.jobs import RetryLater, worker
from opportune.jobs.models import Job, JobState, JobStep
from opportune.jobs.service import DatabaseJobQueue
from opportune.jobs.store import RETENTION
from opportune.storage import open_storage
from opportune.testing.plugin import settings_for
from tests.opportune.jobs.conftest import Emails, Find, MakeQueue, cancel, retry
from tests.opportune.jobs.processes import die_at_work
from tests.opportune.jobs.tasks import (
    TASKS,
    break_down,
    die,
    gate,
    hourly,
    linger,
    quit_work,
    refuse,
    register,
    stumble,
    wait,
)

BOTH = ["first@example.com", "second@example.com"]


async def test_a_job_that_fails_is_tried_again_and_writes_once(
    jobs: DatabaseJobQueue, find: Find, emails: Emails
) -> None:
    job_id = await jobs.enqueue(stumble(2))
    assert await jobs.finished(job_id) == JobState.DONE
    assert await emails() == BOTH
    job = await find(job_id)
    assert (job.attempt, job.error, job.claim, job.arguments) == (3, "", None, [])


@pytest.mark.database("sqlite")
async def test_after_its_last_try_a_job_has_failed_until_somebody_has_it_tried_again(
    jobs: DatabaseJobQueue, find: Find, emails: Emails
) -> None:
    job_id = await jobs.enqueue(stumble(3))
    assert await jobs.finished(job_id) == JobState.FAILED
    job = await find(job_id)
    assert (job.attempt, job.error) == (3, "The other side is closed.")
    assert await emails() == BOTH[:1]
    await retry(jobs, job_id)
    assert await jobs.finished(job_id) == JobState.FAILED
    assert await emails() == BOTH[:1]


def test_each_wait_for_another_try_is_twice_the_one_before_and_none_is_for_ever() -> None:
    patient = replace(stumble, wait=5)
    assert [worker.retry_delay(patient, attempt) for attempt in (1, 2, 3, 99)] == [5, 10, 20, 3600]
    told = [RetryLater("They are busy.", seconds) for seconds in (1, 300, 99_999)]
    assert [worker.retry_delay(patient, 1, each) for each in told] == [5, 300, 3600]


@pytest.mark.database("sqlite")
async def test_a_job_that_gives_up_is_not_tried_again(jobs: DatabaseJobQueue, find: Find) -> None:
    job_id = await jobs.enqueue(refuse())
    assert await jobs.finished(job_id) == JobState.FAILED
    job = await find(job_id)
    assert (job.attempt, job.error) == (1, "Nobody lives there.")


@pytest.mark.database("sqlite")
async def test_a_bug_is_one_line_in_the_list_and_a_traceback_in_the_log(
    jobs: DatabaseJobQueue, find: Find, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await jobs.enqueue(break_down())
    assert await jobs.finished(job_id) == JobState.FAILED
    assert (await find(job_id)).error == "ValueError: three"
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage() == f"Job test.break {job_id} has failed: ValueError: three"
    assert record.exc_info


def test_the_reason_is_storable_whatever_an_error_says() -> None:
    assert worker.error_summary(ValueError("half a \ud800 pair\0\nand more")) == "ValueError: half a   pair"


@pytest.mark.database("sqlite")
async def test_what_the_end_of_the_site_cuts_short_is_done_after_its_next_start(
    make_queue: MakeQueue, find: Find, emails: Emails
) -> None:
    first = make_queue()
    async with first.running():
        job_id = await first.enqueue(wait())
        await gate.begun.wait()
    job = await find(job_id)
    assert (job.state, job.attempt, job.progress) == (JobState.WAITING, 0, "1 of 2: halfway")
    gate.let_go.set()
    await make_queue().worker.drain()
    assert (await find(job_id)).state == JobState.DONE
    assert await emails() == BOTH


@pytest.mark.database("sqlite")
async def test_what_ends_long_after_it_was_cut_short_has_not_failed(
    make_queue: MakeQueue, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SHUTDOWN_TIMEOUT_SECONDS", 0)
    site = make_queue()
    async with site.running():
        job_id = await site.enqueue(linger())
        await gate.begun.wait()
    gate.let_go.set()
    await asyncio.wait(site.worker._running)
    assert ((job := await find(job_id)).state, job.attempt, job.error) == (JobState.WAITING, 0, "")


async def test_no_job_is_taken_from_a_living_process(make_queue: MakeQueue) -> None:
    one, other = make_queue().worker.store, make_queue().worker.store
    await make_queue().enqueue(wait())
    assert len(await one.claim(9)) == 1
    assert await other.claim(9) == []


@pytest.mark.usefixtures("separate_machines")
async def test_who_was_taken_for_dead_and_lives_writes_nothing_more(
    jobs: DatabaseJobQueue,
    make_queue: MakeQueue,
    database: Database,
    find: Find,
    emails: Emails,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stalled() -> None: ...

    job_id = await jobs.enqueue(wait())
    await gate.begun.wait()
    monkeypatch.setattr(jobs.worker, "_renew", stalled)
    monkeypatch.setattr(jobs.worker, "_start_due", stalled)
    async with database.writer() as session:
        await session.execute(update(Job).values(lease_until=utc_now() - timedelta(seconds=1)))
    (taken,) = await make_queue().worker.store.claim(9)
    ended = jobs.worker.ended
    gate.let_go.set()
    await ended.wait()
    assert await emails() == BOTH[:1]
    job = await find(job_id)
    assert (job.state, job.claim, job.attempt) == (JobState.RUNNING, taken.claim, 2)


@pytest.mark.database("sqlite")
async def test_a_job_whose_process_dies_each_time_has_failed(
    idle_queue: DatabaseJobQueue, database: Database, find: Find
) -> None:
    job_id = await idle_queue.enqueue(stumble(0))
    async with database.writer() as session:
        await session.execute(update(Job).values(attempt=3))
    await idle_queue.worker.drain()
    job = await find(job_id)
    assert (job.state, job.error) == (JobState.FAILED, "The worker process ended during each attempt of this job.")


@pytest.mark.database("sqlite")
async def test_after_the_last_job_it_sleeps_until_it_is_woken(jobs: DatabaseJobQueue) -> None:
    assert await jobs.finished(await jobs.enqueue(register("ann@example.com"))) == JobState.DONE
    assert await jobs.worker.look() is None


@pytest.mark.database("sqlite")
async def test_while_nothing_is_to_be_done_it_does_not_look_whatever_time_passes(
    jobs: DatabaseJobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, asleep, loop = jobs.worker.look, asyncio.Event(), asyncio.get_running_loop()

    async def look_and_tell(poll: float | None = None) -> float | None:
        pause = await look(poll)
        if pause is None:
            asleep.set()
        return pause

    monkeypatch.setattr(jobs.worker, "look", look_and_tell)
    jobs.worker.wake()
    await asyncio.wait_for(asleep.wait(), 10)
    looked, now, days = jobs.worker.looked, loop.time, count()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: now() + 86_400 * next(days))
        for _ in range(9):
            await asyncio.sleep(0)
    assert jobs.worker.looked == looked


@pytest.mark.database("sqlite")
async def test_a_site_whose_jobs_others_do_does_none(settings: Settings, database: Database, find: Find) -> None:
    for setting in ("worker", "off"):
        site = DatabaseJobQueue(settings.model_copy(update={"jobs": setting}), database, open_storage(settings), TASKS)
        async with site.running():
            job_id = await site.enqueue(register(f"{setting}@example.com"))
            await site.drain()
        assert (await find(job_id)).attempt == 0


async def test_however_many_plan_a_scheduled_job_one_does_it_and_then_the_next_is_planned(
    make_queue: MakeQueue, database: Database
) -> None:
    sites = [make_queue(hourly), make_queue(hourly)]
    pauses = [await site.worker.look() for site in sites]
    assert all(pause is not None and 0 <= pause <= 3600 for pause in pauses)
    async with database.writer() as session:
        (planned,) = await session.scalars(select(Job))
        assert (planned.due_at.minute, planned.due_at.second) == (0, 0)
        # Long missed, while nothing ran: done once.
        planned.due_at -= timedelta(days=2)
        planned.key = "schedule:long ago"
    await sites[0].worker.drain()
    async with database.reader() as session:
        states = list(await session.scalars(select(col(Job.state)).order_by(col(Job.id))))
    assert states == [JobState.DONE, JobState.WAITING]


@pytest.mark.database("sqlite")
async def test_a_schedule_goes_on_after_the_run_that_was_cancelled(make_queue: MakeQueue, database: Database) -> None:
    site = make_queue(hourly)
    await site.worker.look()
    async with database.reader() as session:
        (planned,) = await session.scalars(select(Job))
    await cancel(site, planned.id)
    async with database.reader() as session:
        waiting = select(col(Job.due_at)).where(col(Job.state) == JobState.WAITING)
        assert list(await session.scalars(waiting)) == [planned.due_at + timedelta(hours=1)]


@pytest.mark.database("sqlite")
async def test_without_its_tables_it_says_so_and_looks_again_later(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(empty_database_url)
    database = open_database(settings)
    site = DatabaseJobQueue(settings, database, open_storage(settings), TASKS)
    try:
        assert await site.worker.look() == worker.DATABASE_RETRY_SECONDS
    finally:
        await database.dispose()
    assert "Jobs wait:" in caplog.text
    assert "Run: python3 oppman.py migrate" in caplog.text


@pytest.mark.database("sqlite")
async def test_what_ended_long_ago_is_forgotten_with_its_steps(
    idle_queue: DatabaseJobQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PRUNE_INTERVAL_SECONDS", -1)
    for state, age in ((JobState.DONE, 1.1), (JobState.DONE, 0.9), (JobState.FAILED, 1.1), (JobState.WAITING, 1.1)):
        ended_at = utc_now() - RETENTION.get(state, timedelta(days=99)) * age
        async with database.writer() as session:
            job = Job(name="gone.remember", state=state, ended_at=ended_at)
            session.add(job)
            await session.flush()
            session.add(JobStep(job_id=job.id, position=1))
    await idle_queue.worker.look()
    assert idle_queue.worker._pruning
    await idle_queue.worker._pruning
    async with database.reader() as session:
        assert list(await session.scalars(select(col(Job.id)).order_by(col(Job.id)))) == [2, 4]
        assert await session.scalar(select(func.count()).select_from(JobStep)) == 2


@pytest.mark.database("sqlite")
async def test_a_worker_ends_when_what_it_was_forgetting_has_given_its_connection_back(
    idle_queue: DatabaseJobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back = asyncio.Event()

    async def prune() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            async with idle_queue.database.reader() as session:
                await session.scalar(select(1))
            given_back.set()

    monkeypatch.setattr(worker, "PRUNE_INTERVAL_SECONDS", -1)
    monkeypatch.setattr(idle_queue.worker.store, "prune", prune)
    await idle_queue.worker.look()
    await idle_queue.worker.drain()
    assert given_back.is_set()


async def test_what_a_killed_process_has_begun_another_one_finishes_and_nothing_is_written_twice(
    idle_queue: DatabaseJobQueue, settings: Settings, find: Find, emails: Emails
) -> None:
    job_id = await idle_queue.enqueue(die())
    await asyncio.to_thread(die_at_work, settings)
    assert (await find(job_id)).state == JobState.RUNNING
    assert await emails() == BOTH[:1]
    await idle_queue.worker.drain()
    job = await find(job_id)
    assert (job.state, job.attempt) == (JobState.DONE, 2)
    assert await emails() == BOTH


@pytest.mark.database("sqlite")
async def test_a_schedule_that_is_none_is_said_and_the_other_jobs_are_done(
    make_queue: MakeQueue, caplog: pytest.LogCaptureFixture, emails: Emails
) -> None:
    site = make_queue(replace(hourly, schedule="hourly"), register)
    async with site.running():
        assert await site.finished(await site.enqueue(register("ann@example.com"))) == JobState.DONE
    assert "Job test.hourly is never begun by itself: 'hourly' is no schedule" in caplog.text


@pytest.mark.database("sqlite")
async def test_a_job_that_cancels_itself_has_failed(jobs: DatabaseJobQueue, find: Find) -> None:
    job_id = await jobs.enqueue(quit_work())
    assert await jobs.finished(job_id) == JobState.FAILED
    assert (await find(job_id)).error == "It has cancelled itself."


@pytest.mark.database("sqlite")
async def test_what_another_transaction_holds_is_asked_for_again_soon_and_not_without_a_pause(
    make_queue: MakeQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.jobs.store.LEASE_DURATION", timedelta(0))
    site = make_queue()
    await site.enqueue(wait())
    await site.worker.store.claim(9)  # dead at once

    async def nothing(most: int, running: Collection[Job]) -> list[Job]:
        return []

    monkeypatch.setattr(site.worker.store, "claim", nothing)
    assert await site.worker.look() == worker.LOCKED_RETRY_SECONDS
