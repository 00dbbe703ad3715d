"""Workers: attempts, schedules, shutdown and pruning."""

import asyncio
import logging
import signal
from dataclasses import replace
from datetime import timedelta
from unittest.mock import AsyncMock, Mock

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import OperationalError
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db import Database, open_database, utc_now
from opportune.jobs import JobCall, JobContext, RetryLater, job, schedules, worker
from opportune.jobs.checks import find_invalid_schedules
from opportune.jobs.execution import error_summary, retry_delay
from opportune.jobs.leases import JobCancelled
from opportune.jobs.models import Job, JobState, JobStep
from opportune.jobs.service import DatabaseJobQueue
from opportune.jobs.store import RETENTION
from opportune.testing.plugin import settings_for
from tests.opportune.jobs import tasks
from tests.opportune.jobs.conftest import Emails, Find, MakeQueue, expire_leases
from tests.opportune.jobs.processes import work_in_process
from tests.opportune.stored_rows import count, execute, read_all

EMAILS_OF_BOTH_STEPS = ["first@example.com", "second@example.com"]


@pytest.mark.database("sqlite", "postgresql")
async def test_failed_job_is_retried_and_writes_once(jobs: DatabaseJobQueue, find: Find, emails: Emails) -> None:
    job_id = await jobs.enqueue(tasks.stumble(2))
    assert await jobs.wait_until_ended(job_id) == JobState.DONE
    assert await emails() == EMAILS_OF_BOTH_STEPS
    job = await find(job_id)
    assert (job.attempt, job.error, job.claim, job.arguments) == (3, "", None, [])


@pytest.mark.parametrize(
    ("call", "attempts", "error"),
    [
        pytest.param(tasks.stumble(3), 3, "The other side is closed.", id="after the last attempt"),
        pytest.param(tasks.refuse(), 1, "Unknown address.", id="permanently"),
        pytest.param(tasks.break_down(), 1, "ValueError: three", id="by a bug"),
        pytest.param(tasks.quit_work(), 1, "The job cancelled itself.", id="by its own cancellation"),
        pytest.param(tasks.quit_work(3), 1, "The job has called sys.exit(3).", id="by its exit"),
    ],
)
async def test_job_fails(
    jobs: DatabaseJobQueue, find: Find, caplog: pytest.LogCaptureFixture, call: JobCall[...], attempts: int, error: str
) -> None:
    job_id = await jobs.enqueue(call)
    assert await jobs.wait_until_ended(job_id) == JobState.FAILED
    job = await find(job_id)
    assert (job.attempt, job.error) == (attempts, error)
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage() == f"Job {call.job.name} {job_id} has failed: {error}"
    assert bool(record.exc_info) == (call.job is tasks.break_down)


def test_retry_delay_doubles_up_to_a_maximum() -> None:
    slow_job = replace(tasks.stumble, wait=5)
    assert [retry_delay(slow_job, attempt) for attempt in (1, 2, 3, 99)] == [5, 10, 20, 3600]
    errors = [RetryLater("They are busy.", seconds) for seconds in (1, 300, 99_999)]
    assert [retry_delay(slow_job, 1, error) for error in errors] == [5, 300, 3600]


def test_error_summary_is_storable() -> None:
    assert error_summary(ValueError("half a \ud800 pair\0\nand more")) == "ValueError: half a   pair"


async def test_interrupted_job_runs_after_the_next_start(make_queue: MakeQueue, find: Find, emails: Emails) -> None:
    queue = make_queue()
    async with queue.running():
        job_id = await queue.enqueue(tasks.wait())
        await tasks.gate.started.wait()
    job = await find(job_id)
    assert (job.state, job.attempt, job.progress) == (JobState.WAITING, 0, "536870912 of 1073741824: halfway")
    tasks.gate.opened.set()
    await make_queue().worker.drain()
    assert (await find(job_id)).state == JobState.DONE
    assert await emails() == EMAILS_OF_BOTH_STEPS


async def test_late_end_is_no_failure(
    make_queue: MakeQueue, find: Find, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "SHUTDOWN_TIMEOUT_SECONDS", 0)
    site = make_queue()
    async with site.running():
        job_id = await site.enqueue(tasks.linger())
        await tasks.gate.started.wait()
    assert "Job test.linger 1 did not end 0 s after its cancellation." in caplog.messages
    attempt_ended = site.worker.attempt_ended
    tasks.gate.opened.set()
    await asyncio.wait_for(attempt_ended.wait(), 60)
    assert ((job := await find(job_id)).state, job.attempt, job.error) == (JobState.WAITING, 0, "")
    await asyncio.wait_for(site.worker.drain(), 60)
    assert (await find(job_id)).state == JobState.DONE


async def test_outage_does_not_fail_a_cancelled_job(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    @job("test.stop")
    async def stop_itself(_run: JobContext) -> None:
        raise JobCancelled

    queue = make_queue(stop_itself)
    end = AsyncMock(side_effect=[OperationalError("", {}, Exception("server closed the connection")), None])
    monkeypatch.setattr(worker, "STORE_RETRY_SECONDS", (0, 0))
    monkeypatch.setattr(queue.worker.store, "end", end)
    await queue.enqueue(stop_itself())
    await asyncio.wait_for(queue.worker.drain(), 60)
    assert [call.args[1] for call in end.await_args_list] == [JobState.CANCELLED] * 2


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.usefixtures("separate_machines")
async def test_worker_that_lost_its_job_writes_nothing(
    jobs: DatabaseJobQueue,
    make_queue: MakeQueue,
    database: Database,
    find: Find,
    emails: Emails,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def do_nothing(*_: object) -> None: ...

    job_id = await jobs.enqueue(tasks.wait())
    await tasks.gate.started.wait()
    monkeypatch.setattr(jobs.worker, "_renew", do_nothing)
    monkeypatch.setattr(jobs.worker, "_exchange", do_nothing)
    await expire_leases(database)
    (claimed,) = await make_queue().worker.store.claim(9)
    attempt_ended = jobs.worker.attempt_ended
    tasks.gate.opened.set()
    await attempt_ended.wait()
    assert await emails() == EMAILS_OF_BOTH_STEPS[:1]
    job = await find(job_id)
    assert (job.state, job.claim, job.attempt) == (JobState.RUNNING, claimed.claim, 2)


async def test_site_with_separate_workers_runs_no_jobs(settings: Settings, database: Database, find: Find) -> None:
    for setting in ("worker", "off"):
        site = tasks.job_queue(settings.model_copy(update={"jobs": setting}), database, tasks.TASKS)
        async with site.running():
            job_id = await site.enqueue(tasks.register(f"{setting}@example.com"))
            await site.drain()
        assert (await find(job_id)).attempt == 0


@pytest.mark.database("sqlite", "postgresql")
async def test_scheduled_job_runs_once_for_several_processes(make_queue: MakeQueue, database: Database) -> None:
    sites = [make_queue(tasks.hourly), make_queue(tasks.hourly)]
    pauses = [await site.worker.start_due_jobs() for site in sites]
    assert all(pause is not None and 0 <= pause <= 3600 for pause in pauses)
    async with database.writer() as session:
        (scheduled_job,) = await session.scalars(select(Job))
        assert (scheduled_job.due_at.minute, scheduled_job.due_at.second) == (0, 0)
        # A run that was missed for days runs once.
        scheduled_job.due_at -= timedelta(days=2)
        scheduled_job.key = "schedule:long ago"
    await sites[0].worker.drain()
    states = await read_all(database, select(col(Job.state)).order_by(col(Job.id)))
    assert states == [JobState.DONE, JobState.WAITING]


async def test_run_is_queued_later(make_queue: MakeQueue, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = make_queue(tasks.hourly).worker.scheduler
    await scheduler.queue_all()
    await execute(database, delete(Job))
    monkeypatch.setattr(schedules, "insert_job", Mock(side_effect=OSError("full")))
    with pytest.raises(OSError, match="full"):
        await scheduler.queue_runs({tasks.hourly.name: utc_now()})
    monkeypatch.undo()
    await scheduler.queue_all()
    assert await count(database, Job) == 1


async def test_missing_tables_are_checked_later(empty_database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_for(empty_database_url)
    database = open_database(settings)
    site = tasks.job_queue(settings, database, tasks.TASKS)
    try:
        assert [await site.worker.start_due_jobs() for _ in range(2)] == [worker.DATABASE_RETRY_SECONDS] * 2
    finally:
        await database.dispose()
    assert caplog.text.count("Jobs wait:") == 1
    assert "Run: python3 oppman.py migrate" in caplog.text


async def test_old_jobs_are_deleted_with_steps(idle_queue: DatabaseJobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PRUNE_INTERVAL_SECONDS", -1)
    for state, age in ((JobState.DONE, 1.1), (JobState.DONE, 0.9), (JobState.FAILED, 1.1), (JobState.WAITING, 1.1)):
        ended_at = utc_now() - RETENTION.get(state, timedelta(days=99)) * age
        async with idle_queue.database.writer() as session:
            job = Job(name="removed.job", state=state, ended_at=ended_at)
            session.add(job)
            await session.flush()
            session.add(JobStep(job_id=job.id, position=1))
    await idle_queue.worker.start_due_jobs()
    assert idle_queue.worker._pruning
    await idle_queue.worker._pruning
    assert [job.id for job in await read_all(idle_queue.database, Job)] == [2, 4]
    assert await count(idle_queue.database, JobStep) == 2


async def test_end_cancels_the_deletion_of_old_jobs(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_queue()
    monkeypatch.setattr(worker, "PRUNE_INTERVAL_SECONDS", -1)
    monkeypatch.setattr(site.worker.store, "prune", asyncio.Event().wait)
    await site.worker.start_due_jobs()
    await asyncio.wait_for(site.worker.drain(), 60)
    assert site.worker._pruning
    assert site.worker._pruning.cancelled()


@pytest.mark.database("sqlite", "postgresql")
async def test_job_of_a_killed_process_is_completed_once(
    idle_queue: DatabaseJobQueue, settings: Settings, find: Find, emails: Emails
) -> None:
    job_id = await idle_queue.enqueue(tasks.die())
    assert await asyncio.to_thread(work_in_process, settings) == -signal.SIGKILL
    assert (await find(job_id)).state == JobState.RUNNING
    assert await emails() == EMAILS_OF_BOTH_STEPS[:1]
    await idle_queue.worker.drain()
    job = await find(job_id)
    assert (job.state, job.attempt) == (JobState.DONE, 2)
    assert await emails() == EMAILS_OF_BOTH_STEPS


def test_check_reports_an_invalid_schedule() -> None:
    jobs = [replace(tasks.hourly, schedule="61 * * * *"), tasks.hourly]
    (fault,) = find_invalid_schedules(Settings(_env_file=None), jobs)
    assert fault.text.startswith("The job test.hourly: '61 * * * *' is not a valid schedule (Bad minute).")


async def test_locked_job_is_tried_after_pauses(idle_queue: DatabaseJobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    await idle_queue.enqueue(tasks.wait())
    await idle_queue.worker.store.claim(9)
    await expire_leases(idle_queue.database)
    monkeypatch.setattr(idle_queue.worker.store, "claim", AsyncMock(return_value=[]))
    pauses = [await idle_queue.worker.start_due_jobs() for _ in range(7)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
