"""Timeouts for work that may ignore its cancellation."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_abandoned: set[asyncio.Task[Any]] = set()  # the event loop holds only weak references to tasks


async def run_with_timeout(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine.

    Work that is late is cancelled without waiting for its end, because threads cannot be cancelled. The same holds if
    the caller is cancelled.

    Args:
        seconds: Maximum duration.
        work: The coroutine to run.

    Raises:
        TimeoutError: The work takes longer.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            _keep(task)
    if task.cancelled() or not task.done():
        raise TimeoutError
    return task.result()


def run_in_background(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine without waiting for it."""
    _keep(asyncio.create_task(work))


def _keep(task: asyncio.Task[Any]) -> None:
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # else asyncio logs that the exception was never retrieved
