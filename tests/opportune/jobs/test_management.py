import pytest

from opportune.errors import OperatorError
from opportune.jobs import worker
from opportune.jobs.models import State
from opportune.jobs.queue import LEASE
from opportune.jobs.service import SiteJobs
from tests.opportune.jobs.conftest import Emails, Find, cancel, retry
from tests.opportune.jobs.tasks import gate, register, wait


async def test_a_job_that_waits_is_cancelled_at_once_and_can_be_tried_again(
    jobs: SiteJobs, find: Find, emails: Emails
) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"), delay=3600)
    await cancel(jobs, job_id)
    assert (await find(job_id)).state == State.CANCELLED
    await retry(jobs, job_id)
    assert await jobs.finished(job_id) == State.DONE
    assert await emails() == ["ann@example.com"]


async def test_a_job_that_runs_ends_at_its_next_step(jobs: SiteJobs, emails: Emails) -> None:
    job_id = await jobs.enqueue(wait())
    await gate.begun.wait()
    await cancel(jobs, job_id)
    gate.let_go.set()
    assert await jobs.finished(job_id) == State.CANCELLED
    assert await emails() == ["first@example.com"]


async def test_a_job_that_takes_no_step_ends_as_well(jobs: SiteJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await jobs.enqueue(wait())
    await gate.begun.wait()
    await cancel(jobs, job_id)
    monkeypatch.setattr(worker, "RENEW", 0)
    jobs.worker.wake()
    assert await jobs.finished(job_id) == State.CANCELLED


async def test_a_cancelled_job_of_a_dead_process_is_not_begun_again(
    idle: SiteJobs, find: Find, emails: Emails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.jobs.queue.LEASE", -LEASE)
    job_id = await idle.enqueue(register("ann@example.com"))
    await idle.worker.queue.claim(1)
    await cancel(idle, job_id)
    await idle.worker.drain()
    assert (await find(job_id)).state == State.CANCELLED
    assert await emails() == []


async def test_what_cannot_be_done_is_said_in_one_line(jobs: SiteJobs) -> None:
    job_id = await jobs.enqueue(register("ann@example.com"))
    await jobs.finished(job_id)
    with pytest.raises(OperatorError, match=r"^Job 1 is done: there is nothing to cancel\.$"):
        await cancel(jobs, 1)
    with pytest.raises(OperatorError, match=r"^Job 1 is done: only one that failed or was cancelled"):
        await retry(jobs, 1)
    for number in (7, -1, 2**80):
        with pytest.raises(OperatorError, match=f"^There is no job {number}\\."):
            await retry(jobs, number)
