"""Functions that are called after the last attempt of a job has failed."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.errors import OperatorError
from opportune.jobs import JobCall, JobContext, PermanentFailure, job, worker
from opportune.jobs.models import JobState
from tests.opportune.jobs.conftest import TIMEOUT_SECONDS, Find, MakeQueue, set_attempt

Call = tuple[int, str, int]


@pytest.fixture
def calls() -> list[Call]:
    """Attempt, error and argument of each call of `on_failure`."""
    return []


@pytest.fixture
def options(calls: list[Call]) -> dict[str, Any]:
    async def record(run: JobContext, error: Exception, book_id: int) -> None:
        calls.append((run.attempt, str(error), book_id))

    return {"attempts": 2, "wait": 0, "on_failure": record}


async def run_job(make_queue: MakeQueue, call: JobCall[...]) -> str:
    """Run a job until it has ended, and return its id."""
    queue = make_queue(call.job)
    job_id = await queue.enqueue(call)
    await asyncio.wait_for(queue.worker.drain(), TIMEOUT_SECONDS)
    return job_id


@pytest.mark.parametrize(
    ("error", "call"),
    [
        pytest.param(ValueError("no shelf"), (2, "no shelf", 7), id="the last attempt"),
        pytest.param(PermanentFailure("no such book"), (1, "no such book", 7), id="a permanent failure"),
        pytest.param(asyncio.CancelledError(), (2, "The job cancelled itself.", 7), id="its own cancellation"),
    ],
)
async def test_on_failure_follows(
    make_queue: MakeQueue, options: dict[str, Any], calls: list[Call], error: BaseException, call: Call
) -> None:
    @job("test.fail", **options)
    async def fail(_run: JobContext, _book_id: int) -> None:
        raise error

    await run_job(make_queue, fail(7))
    assert calls == [call]


async def test_on_failure_follows_last_death(make_queue: MakeQueue, options: dict[str, Any], calls: list[Call]) -> None:
    @job("test.die", **options)
    async def die(_run: JobContext, _book_id: int) -> None:
        raise AssertionError("a job without attempts runs")

    queue = make_queue(die)
    await set_attempt(queue, await queue.enqueue(die(7)), 2)
    await queue.worker.drain()
    assert calls == [(3, "The worker process ended during each attempt of this job.", 7)]


async def test_on_failure_that_kills_its_worker_is_not_repeated(
    make_queue: MakeQueue, find: Find, options: dict[str, Any], calls: list[Call]
) -> None:
    @job("test.die", **options)
    async def die(_run: JobContext, _book_id: int) -> None: ...

    queue = make_queue(die)
    job_id = await queue.enqueue(die(7))
    await set_attempt(queue, job_id, 3)
    await queue.worker.drain()
    assert (calls, (await find(job_id)).state) == ([], JobState.FAILED)


async def test_steps_of_the_job_do_not_replace_those_of_on_failure(make_queue: MakeQueue, calls: list[Call]) -> None:
    async def count(_session: AsyncSession, book_id: int) -> int:
        calls.append((1, "", book_id))
        return book_id

    async def record(run: JobContext, _error: Exception) -> None:
        await run.write(count, 8)

    @job("test.fail", attempts=1, on_failure=record)
    async def fail(run: JobContext) -> None:
        await run.write(count, 7)
        raise PermanentFailure("no shelf")

    await run_job(make_queue, fail())
    assert [book_id for *_, book_id in calls] == [7, 8]


async def test_lost_database_does_not_end_on_failure(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    notify = AsyncMock(side_effect=[OperationalError("SELECT 1", {}, Exception("server closed the connection")), None])

    async def follow(_run: JobContext, _error: Exception) -> None:
        await notify()

    @job("test.refuse", on_failure=follow)
    async def refuse(_run: JobContext) -> None:
        raise PermanentFailure("no such book")

    monkeypatch.setattr(worker, "STORE_RETRY_SECONDS", (0, 0))
    await run_job(make_queue, refuse())
    assert notify.await_count == 2


@pytest.mark.parametrize("fault", [IntegrityError("INSERT", {}, Exception()), asyncio.CancelledError(), SystemExit(3)])
async def test_fault_of_on_failure_is_logged(
    make_queue: MakeQueue, find: Find, caplog: pytest.LogCaptureFixture, fault: BaseException
) -> None:
    async def stumble(_run: JobContext, _error: Exception) -> None:
        raise fault

    @job("test.refuse", on_failure=stumble)
    async def refuse(_run: JobContext) -> None:
        raise PermanentFailure("no such book")

    job_id = await run_job(make_queue, refuse())
    assert f"on_failure of job test.refuse {job_id}" in caplog.text
    ended = await find(job_id)
    assert (ended.state, ended.error) == (JobState.FAILED, "no such book")


def test_on_failure_without_the_arguments_is_refused() -> None:
    async def record(_run: JobContext, _error: Exception) -> None: ...

    with pytest.raises(OperatorError, match=r"^Job test\.count: on_failure: too many positional arguments\. It gets "):

        @job("test.count", on_failure=record)
        async def count(_run: JobContext, _book_id: int) -> None: ...
