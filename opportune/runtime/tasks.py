"""Ends tasks of asyncio that a part of the site has begun for itself."""

import asyncio
from typing import Any

MAX_WAIT_SECONDS = 2.0
"""Seconds for tasks that were cancelled, at most: the host's grace is short, and some wait for a server."""


async def cancel_and_wait(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they have given back what they hold, such as a connection.

    What they raise is asyncio's to log. One that does not end in time goes on by itself.
    """
    begun = [task for task in tasks if task is not None]
    for task in begun:
        if not task.cancelling():  # twice would interrupt what it does at its end
            task.cancel()
    if begun:
        await asyncio.wait(begun, timeout=MAX_WAIT_SECONDS)
