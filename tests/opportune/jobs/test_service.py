"""Queues of jobs: order, schedules, cancellation, retries, and the command that works on them."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from opportune.db import Database, utc_now
from opportune.errors import OperatorError
from opportune.jobs import defer, management, run_command, worker
from opportune.jobs.leases import LEASE_DURATION
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedules import next_run_time
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.jobs.conftest import Emails, Find, cancel, retry
from tests.opportune.jobs.tasks import gate, hourly, register, wait
from tests.opportune.stored_rows import add_rows


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


@pytest.mark.parametrize("options", [{"key": "k" * 501}, {"group": "g" * 201}, {"key": "\0"}, {"delay": 1e11}])
async def test_unstorable_option_is_refused(idle_queue: DatabaseJobQueue, options: Any) -> None:
    with pytest.raises(OperatorError, match="register: key and group need at most 500 and 200 characters"):
        defer(Mock(info={"jobs": idle_queue}), register("ann@example.com"), **options)


async def test_job_that_is_not_called_is_refused(idle_queue: DatabaseJobQueue) -> None:
    uncalled: Any = register
    with pytest.raises(OperatorError, match=r"queued by its call, such as shrink_photo\(7\), not by JobDefinition"):
        await idle_queue.enqueue(uncalled)


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


async def test_unlisted_job_cannot_be_queued(idle_queue: DatabaseJobQueue) -> None:
    with pytest.raises(LookupError, match=r"No installed feature lists the job test\.hourly"):
        await idle_queue.enqueue(hourly())
    with pytest.raises(LookupError):
        defer(Mock(info={"jobs": idle_queue}), hourly())


async def test_job_of_a_removed_feature_waits(jobs: DatabaseJobQueue, database: Database, find: Find) -> None:
    await add_rows(database, Job(name="removed.job", due_at=utc_now() - timedelta(days=1)))
    assert await jobs.wait_until_ended(await jobs.enqueue(register("ann@example.com"))) == JobState.DONE
    assert (await find("1")).state == JobState.WAITING
    assert await jobs.worker.start_due_jobs() is None


SATURDAY = datetime(2026, 2, 28, 12, 30, 15, 500, tzinfo=UTC)


def test_next_run_time_is_in_utc_and_later() -> None:
    wellington = SATURDAY.astimezone(timezone(timedelta(hours=13)))
    for schedule, time in (
        ("*/20 9-17 * * MON-FRI", "2026-03-02 09:00:00"),
        (" @Daily ", "2026-03-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("CRON_TZ=Europe/Vienna 30 2 29 3 *", "2026-03-29 01:00:00"),  # clocks skip half past two
    ):
        assert next_run_time(schedule, wellington) == datetime.fromisoformat(time).replace(tzinfo=UTC), schedule
    later = next_run_time("CRON_TZ=Europe/Vienna 30 2 * * *", datetime(2026, 10, 25, 1, tzinfo=UTC))
    assert later == datetime(2026, 10, 26, 1, 30, tzinfo=UTC), "clocks go back"


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("hourly", "Wrong number of fields"),
        ("0 0 */31 * MON#2", "no day matches"),
        ("CRON_TZ=Vienna 0 0 * * *", "there is no time zone 'Vienna'"),
        (f"CRON_TZ={'x' * 300} 0 0 * * *", f"there is no time zone '{'x' * 300}'"),
    ],
)
def test_invalid_schedule_is_refused(schedule: str, reason: str) -> None:
    with pytest.raises(OperatorError) as error:
        next_run_time(schedule, SATURDAY)
    assert str(error.value) == f"'{schedule}' is not a valid schedule ({reason}). Daily at three is '0 3 * * *'."


async def test_error_of_a_command_fails_the_job() -> None:
    with pytest.raises(OperatorError, match=r"^PORT: [^\n]*$"):
        await run_command("migrate", "--check", environ={"PORT": "none"})


async def test_cancelled_command_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Mock(communicate=AsyncMock(side_effect=asyncio.CancelledError), wait=AsyncMock(side_effect=TimeoutError))
    monkeypatch.setattr(asyncio, "create_subprocess_exec", AsyncMock(return_value=process))
    with pytest.raises(asyncio.CancelledError):
        await run_command("migrate")
    process.kill.assert_called_once()


async def test_cancelled_waiting_job_can_be_retried(jobs: DatabaseJobQueue, find: Find, emails: Emails) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"), delay=3600)
    await cancel(jobs, job_id)
    assert (await find(job_id)).state == JobState.CANCELLED
    await retry(jobs, job_id)
    assert await jobs.wait_until_ended(job_id) == JobState.DONE
    assert await emails() == ["ann@example.com"]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(("age", "missing"), [(0, False), (7, True)])
async def test_newest_job_of_a_call_says_whether_it_was_cancelled(
    idle_queue: DatabaseJobQueue, database: Database, age: int, *, missing: bool
) -> None:
    async def was_cancelled() -> bool:
        async with database.reader() as session:
            return (await management.were_cancelled(session, [(call, utc_now() - timedelta(days=age))]))[0]

    call = register("ann@example.com")
    assert await was_cancelled() == missing
    await cancel(idle_queue, await idle_queue.enqueue(call))
    await idle_queue.enqueue(register("bob@example.com"))
    assert await was_cancelled()
    await idle_queue.enqueue(call)
    assert not await was_cancelled()


@pytest.mark.parametrize("reaches_a_step", [True, False])
async def test_cancelled_running_job_ends(
    jobs: DatabaseJobQueue, emails: Emails, monkeypatch: pytest.MonkeyPatch, *, reaches_a_step: bool
) -> None:
    job_id = await jobs.enqueue(wait())
    await gate.started.wait()
    await cancel(jobs, job_id)
    if reaches_a_step:
        gate.opened.set()
    else:
        monkeypatch.setattr(worker, "LEASE_RENEWAL_SECONDS", 0)
        jobs.worker.wake()
    assert await jobs.wait_until_ended(job_id) == JobState.CANCELLED
    assert await emails() == ["first@example.com"]


async def test_cancelled_job_of_a_dead_process_does_not_run(
    idle_queue: DatabaseJobQueue, find: Find, emails: Emails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.jobs.leases.LEASE_DURATION", -LEASE_DURATION)
    job_id = await idle_queue.enqueue(register("ann@example.com"))
    await idle_queue.worker.store.claim(1)
    await cancel(idle_queue, job_id)
    await idle_queue.worker.drain()
    assert (await find(job_id)).state == JobState.CANCELLED
    assert await emails() == []


async def test_impossible_action_is_refused(jobs: DatabaseJobQueue) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"))
    await jobs.wait_until_ended(job_id)
    with pytest.raises(OperatorError, match=r"^Job 1 is done\. Only waiting and running jobs"):
        await cancel(jobs, 1)
    with pytest.raises(OperatorError, match=r"^Job 1 is done\. Only failed and cancelled jobs"):
        await retry(jobs, 1)
    for number in (7, -1, 2**80):
        with pytest.raises(OperatorError, match=f"^There is no job {number}\\."):
            await retry(jobs, number)


@pytest.mark.database("sqlite", "postgresql")
async def test_counts_of_jobs_are_bounded(idle_queue: DatabaseJobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management, "MAX_COUNTED_JOBS", 2)
    for number in range(3):
        await idle_queue.enqueue(register(str(number)))
    async with idle_queue.database.reader(fresh=True) as session:
        counts = await management.count_by_state(session)
    assert counts == dict.fromkeys(JobState, 0) | {JobState.WAITING: 2}
