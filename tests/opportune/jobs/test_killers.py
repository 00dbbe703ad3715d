"""Jobs that kill their worker process at each attempt, beside other jobs."""

import asyncio
import signal
import sys

import pytest

from opportune.config.settings import Settings
from opportune.jobs import JobDefinition
from opportune.jobs.models import JobState
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.jobs.conftest import Find
from tests.opportune.jobs.processes import work_in_process
from tests.opportune.jobs.tasks import kill, register, register_in_one_attempt, register_in_two_attempts

OTHER_JOBS = 4
MAX_DEATHS = 12

pytestmark = [
    pytest.mark.database("sqlite", "postgresql"),
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals"),
]


async def work_until_normal_end(settings: Settings, max_parallel_jobs: int | None = None) -> list[int | None]:
    """Run jobs in new processes until one ends normally. Return the exit codes of the others."""
    codes: list[int | None] = []
    while (code := await asyncio.to_thread(work_in_process, settings, max_parallel_jobs)) and len(codes) < MAX_DEATHS:
        codes.append(code)
    return codes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_killer_fails_after_its_attempts(
    idle_queue: DatabaseJobQueue, settings: Settings, find: Find, number: signal.Signals
) -> None:
    job_id = await idle_queue.enqueue(kill(number))
    assert await work_until_normal_end(settings) == [-number] * kill.attempts
    job = await find(job_id)
    assert (job.state, job.error) == (JobState.FAILED, "The worker process ended during each attempt of this job.")
    assert job.attempt == kill.attempts


@pytest.mark.parametrize("definition", [register, register_in_two_attempts])
async def test_jobs_beside_a_killer_succeed(
    idle_queue: DatabaseJobQueue, settings: Settings, find: Find, definition: JobDefinition[[str]]
) -> None:
    await idle_queue.enqueue(kill(signal.SIGKILL))
    job_ids = [await idle_queue.enqueue(definition(f"{number}@example.com")) for number in range(OTHER_JOBS)]
    await work_until_normal_end(settings)
    jobs = [await find(job_id) for job_id in job_ids]
    assert {job.state for job in jobs} == {JobState.DONE}
    assert max(job.attempt for job in jobs) <= min(3, definition.attempts)


async def test_jobs_beside_two_killers_succeed(idle_queue: DatabaseJobQueue, settings: Settings, find: Find) -> None:
    for _ in range(2):
        await idle_queue.enqueue(kill(signal.SIGKILL))
    job_ids = [await idle_queue.enqueue(register(f"{number}@example.com")) for number in range(OTHER_JOBS)]
    await work_until_normal_end(settings)
    assert {(await find(job_id)).state for job_id in job_ids} == {JobState.DONE}


async def test_jobs_that_wait_behind_a_killer_keep_attempts(
    idle_queue: DatabaseJobQueue, settings: Settings, find: Find
) -> None:
    await idle_queue.enqueue(register("first@example.com"))  # lets the worker claim the others early
    killer_id = await idle_queue.enqueue(kill(signal.SIGKILL))
    emails = [f"{number}@example.com" for number in range(OTHER_JOBS)]
    job_ids = [await idle_queue.enqueue(register_in_one_attempt(email)) for email in emails]
    await work_until_normal_end(settings, max_parallel_jobs=1)
    jobs = [await find(job_id) for job_id in job_ids]
    assert [(job.state, job.attempt) for job in jobs] == [(JobState.DONE, 1)] * OTHER_JOBS
    assert (await find(killer_id)).state == JobState.FAILED
