"""Waits that end when they should, whatever happens to what is waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Undo = Callable[[T], Awaitable[object]]

_left: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks


async def within(seconds: float, work: Coroutine[Any, Any, T], undo: Undo[T] | None = None) -> T:
    """The result of the work; `undo` gets one that comes too late.

    Work that is late, or that nobody waits for any more, is cancelled and left behind: when the server is silent,
    psycopg takes ten seconds to be cancelled.

    Raises:
        TimeoutError: the work takes longer.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _leave(task, undo)
        raise
    if not task.done():
        _leave(task, undo)
        raise TimeoutError
    return task.result()


def _leave(task: asyncio.Task[T], undo: Undo[T] | None) -> None:
    task.cancel()
    ending = asyncio.create_task(_end(task, undo))
    _left.add(ending)
    ending.add_done_callback(_left.discard)


async def _end(task: asyncio.Task[T], undo: Undo[T] | None) -> None:
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None and undo:
        await undo(task.result())
