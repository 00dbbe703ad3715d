"""Timeouts of work that may run in a thread."""

import asyncio
import threading

import pytest

from opportune.services.tasks import run_in_background, run_with_timeout


async def test_result_and_error_are_passed_on() -> None:
    async def fail() -> None:
        raise ValueError("of the coroutine")

    assert await run_with_timeout(10, asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ValueError, match="of the coroutine"):
        await run_with_timeout(10, fail())


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


async def test_cancelled_caller_does_not_wait_for_a_thread(blocking_event: threading.Event) -> None:
    caller = asyncio.create_task(run_with_timeout(10, asyncio.to_thread(blocking_event.wait)))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    blocking_event.set()


async def test_background_error_is_ignored() -> None:
    has_run = asyncio.Event()

    async def fail() -> None:
        has_run.set()
        raise ValueError("of the coroutine")

    run_in_background(fail())
    await has_run.wait()
