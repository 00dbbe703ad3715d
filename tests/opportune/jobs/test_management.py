"""Cancelled, retried and counted jobs."""

import pytest

from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.jobs import management, worker
from opportune.jobs.leases import LEASE_DURATION
from opportune.jobs.models import JobState
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.jobs.conftest import Emails, Find, cancel, retry
from tests.opportune.jobs.tasks import gate, register, wait


async def test_cancelled_waiting_job_can_be_retried(jobs: DatabaseJobQueue, find: Find, emails: Emails) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"), delay=3600)
    await cancel(jobs, job_id)
    assert (await find(job_id)).state == JobState.CANCELLED
    await retry(jobs, job_id)
    assert await jobs.wait_until_ended(job_id) == JobState.DONE
    assert await emails() == ["ann@example.com"]


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
async def test_counts_of_a_backlog_are_bounded(
    idle_queue: DatabaseJobQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(management, "MAX_COUNTED_JOBS", 2)
    for number in range(3):
        await idle_queue.enqueue(register(str(number)))
    async with database.reader(fresh=True) as session:
        counts = await management.count_by_state(session)
    assert counts == dict.fromkeys(JobState, 0) | {JobState.WAITING: 2}
