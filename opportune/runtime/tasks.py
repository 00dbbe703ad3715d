"""Cancellation of background tasks."""

import asyncio
from typing import Any

MAX_WAIT_SECONDS = 2.0
"""Maximum wait for cancelled tasks. A task may wait for a server, and hosts kill processes that shut down slowly."""


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
