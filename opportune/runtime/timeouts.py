"""Waits that end when they should, whatever happens to what is waited for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_left: set[asyncio.Task[Any]] = set()  # a loop alone does not keep its tasks


async def run_with_timeout(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work.

    Work that is late, or that nobody waits for any more, is cancelled and left behind: a thread cannot be cancelled.

    Raises:
        TimeoutError: the work takes longer.
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
    """Have something done that nobody waits for."""
    _keep(asyncio.create_task(work))


def _keep(task: asyncio.Task[Any]) -> None:
    _left.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # or asyncio would log that nobody asked for it
