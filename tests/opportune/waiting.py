"""Waits for what happens in other tasks, threads and processes."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

TIMEOUT_SECONDS = 60
PAUSE_SECONDS = 0.002


async def wait_until(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Wait until a function or coroutine function returns a true value. Raises TimeoutError after a minute."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not (await result if isawaitable(result := condition()) else result):
            await asyncio.sleep(PAUSE_SECONDS)
