"""Jobs that kill their worker process at each attempt, beside other jobs."""

import asyncio
import signal
import sys

import pytest

from opportune.config.settings import Settings
from opportune.jobs.models import JobState
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.jobs.conftest import Find
from tests.opportune.jobs.processes import work_in_process
from tests.opportune.jobs.tasks import kill, register, register_in_one_attempt, register_in_two_attempts

EMAILS = [f"{number}@example.com" for number in range(4)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")


async def work_until_normal_end(settings: Settings, max_parallel_jobs: int | None = None) -> list[int | None]:
    """Run jobs in new processes until one ends normally. Return the exit codes of the others."""
    codes: list[int | None] = []
    while (code := await asyncio.to_thread(work_in_process, settings, max_parallel_jobs)) and len(codes) < 12:
        codes.append(code)
    return codes


async def test_killer_fails_and_others_succeed(idle_queue: DatabaseJobQueue, settings: Settings, find: Find) -> None:
    killer_id = await idle_queue.enqueue(kill())
    job_ids = [await idle_queue.enqueue(register_in_two_attempts(email)) for email in EMAILS]
    assert set(await work_until_normal_end(settings)) == {-signal.SIGKILL}
    failed = await find(killer_id)
    assert (failed.state, failed.attempt) == (JobState.FAILED, kill.attempts)
    assert failed.error == "The worker process ended during each attempt of this job."
    assert {(await find(job_id)).state for job_id in job_ids} == {JobState.DONE}


async def test_jobs_behind_a_killer_keep_attempts(idle_queue: DatabaseJobQueue, settings: Settings, find: Find) -> None:
    await idle_queue.enqueue(register("first@example.com"))  # lets the worker claim the others early
    killer_id = await idle_queue.enqueue(kill())
    job_ids = [await idle_queue.enqueue(register_in_one_attempt(email)) for email in EMAILS]
    await work_until_normal_end(settings, max_parallel_jobs=1)
    jobs = [await find(job_id) for job_id in job_ids]
    assert {(job.state, job.attempt) for job in jobs} == {(JobState.DONE, 1)}
    assert (await find(killer_id)).state == JobState.FAILED
