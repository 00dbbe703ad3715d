"""Background tasks release their resources when the site stops."""

import asyncio
import threading
from contextlib import suppress
from unittest.mock import AsyncMock

import pytest

from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.follower import AnswerFollower
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.contrib.answers.spending.switch import Switch
from opportune.db import Database
from opportune.jobs.leases import JobCancelled
from opportune.services import tasks
from opportune.services.tasks import cancel_and_wait, run_with_timeout

TIMEOUT_SECONDS = 30


class SlowCleanup:
    """Work that waits, and needs several iterations of the loop for its cleanup."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.is_released = False

    async def __call__(self, *_: object) -> object:
        self.started.set()
        try:
            return await asyncio.Event().wait()
        finally:
            for _turn in range(5):
                await asyncio.sleep(0)
            self.is_released = True


@pytest.fixture
async def work() -> SlowCleanup:
    return SlowCleanup()


async def wait_for_start(work: SlowCleanup) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await work.started.wait()


async def test_cancelled_task_releases_its_resources(work: SlowCleanup) -> None:
    task = asyncio.create_task(work())
    await wait_for_start(work)
    await cancel_and_wait()  # nothing to cancel
    await cancel_and_wait(None, task)
    assert task.cancelled()
    assert work.is_released


async def test_cleanup_is_not_cancelled_again(work: SlowCleanup) -> None:
    task = asyncio.create_task(work())
    await wait_for_start(work)
    task.cancel()
    await asyncio.sleep(0)
    await cancel_and_wait(task)
    assert work.is_released


async def test_stubborn_and_failing_tasks_do_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_WAIT_SECONDS", 0.01)
    released = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await released.wait()

    async def fails() -> None:
        raise ValueError("unavailable")

    stays, failed = asyncio.create_task(stubborn()), asyncio.create_task(fails())
    await asyncio.sleep(0)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await cancel_and_wait(stays, failed)
        assert not stays.done()
        released.set()
        await asyncio.wait([stays])
    assert isinstance(failed.exception(), ValueError)


async def test_follower_ends_with_query(database: Database, work: SlowCleanup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "read_progress", work)
    follower = AnswerFollower(database, AsyncMock())
    async with follower.follow(Answer(id=1, status=AnswerStatus.STREAMING)) as live:
        await wait_for_start(work)
        await follower.close()
        assert work.is_released
        assert [growth async for growth in live.follow(0)] == []


@pytest.mark.parametrize("has_left", [False, True])
async def test_switch_closes_after_its_query(
    database: Database, work: SlowCleanup, monkeypatch: pytest.MonkeyPatch, *, has_left: bool
) -> None:
    monkeypatch.setattr("opportune.contrib.answers.spending.switch.CHECK_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(database, "lookup", work)
    guard = Switch(database)
    guard.watch(lambda: None)
    await wait_for_start(work)
    if has_left:  # as at the end of the last call
        guard.unwatch()
    await guard.close()
    assert work.is_released


@pytest.fixture
def blocking_event() -> threading.Event:
    """Event that a thread waits for, which cannot be cancelled."""
    return threading.Event()


async def test_timeout_does_not_wait_for_a_thread(blocking_event: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        await run_with_timeout(0, asyncio.to_thread(blocking_event.wait))
    blocking_event.set()


async def test_timed_out_work_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def wait_forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        await run_with_timeout(0.01, wait_forever())
    async with asyncio.timeout(30):
        await cancelled.wait()


async def test_cancellation_by_the_work_reaches_the_caller() -> None:
    with pytest.raises(JobCancelled):
        await run_with_timeout(TIMEOUT_SECONDS, AsyncMock(side_effect=JobCancelled)())


async def test_work_that_ignores_its_cancellation_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_WAIT_SECONDS", 0.01)
    end = asyncio.Event()

    async def stay() -> None:
        with suppress(asyncio.CancelledError):
            await end.wait()
        await end.wait()

    with pytest.raises(TimeoutError):
        await run_with_timeout(0.01, stay(), awaits_cleanup=True)
    end.set()


async def test_cancelled_caller_does_not_wait_for_a_thread(blocking_event: threading.Event) -> None:
    caller = asyncio.create_task(run_with_timeout(10, asyncio.to_thread(blocking_event.wait)))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    blocking_event.set()
