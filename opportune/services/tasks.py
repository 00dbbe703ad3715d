"""Background tasks: time limits, and cancellation that waits for their cleanup."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")

MAX_WAIT_SECONDS = 2.0
"""Maximum wait for cancelled tasks. A task may wait for a server, and hosts kill processes that shut down slowly."""

_background_tasks: set[asyncio.Task[Any]] = set()  # the event loop holds only weak references to tasks


async def cancel_and_wait(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they have released their resources, such as connections.

    asyncio logs their exceptions. A task that takes too long is left running.
    """
    pending_tasks = [task for task in tasks if task is not None]
    for task in pending_tasks:
        if not task.cancelling():  # a second cancellation would interrupt its cleanup
            task.cancel()
    if pending_tasks:
        await asyncio.wait(pending_tasks, timeout=MAX_WAIT_SECONDS)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, object] | None, name: str | None = None) -> AsyncIterator[None]:
    """Context manager that runs a coroutine as a task until its end. None runs nothing."""
    task = asyncio.create_task(work, name=name) if work else None
    try:
        yield
    finally:
        await cancel_and_wait(task)


async def run_with_timeout(seconds: float, work: Coroutine[Any, Any, T], *, awaits_cleanup: bool = False) -> T:
    """Return the result of a coroutine. After the timeout, or if the caller is cancelled, the work is cancelled.

    Args:
        awaits_cleanup: Wait for the end of cancelled work, for at most `MAX_WAIT_SECONDS`. Threads cannot be cancelled.

    Raises:
        TimeoutError: The work takes longer.
        asyncio.CancelledError: The work has raised it, such as a cancelled job.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            _hold_reference(task)
            task.cancel()
            if awaits_cleanup:
                await cancel_and_wait(task)
    if not done:
        raise TimeoutError
    return task.result()


async def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine, which ends even if the caller is cancelled.

    Raises:
        asyncio.CancelledError: The caller was cancelled, and the work has ended without an error.
    """
    task = asyncio.create_task(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:  # repeatedly for streams whose client has disconnected
            cancellation = error
    result = task.result()
    if cancellation:
        raise cancellation
    return result


def run_in_background(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run a coroutine without waiting for it. The caller need not keep the task."""
    task = asyncio.create_task(work)
    _hold_reference(task)
    return task


def _hold_reference(task: asyncio.Task[Any]) -> None:
    _background_tasks.add(task)
    task.add_done_callback(_release)


def _release(task: asyncio.Task[Any]) -> None:
    _background_tasks.discard(task)
    if not task.cancelled():
        task.exception()  # else asyncio logs that the exception was never retrieved
