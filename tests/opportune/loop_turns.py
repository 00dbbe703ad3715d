"""What turns of the event loop are measured by."""

import asyncio
from collections.abc import Sized

TIMEOUT_SECONDS = 10


async def growth_in_each_turn(grown: Sized, length: int) -> list[int]:
    """By how much it grows in each turn of the loop, until it is so long."""
    steps = list[int]()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (before := len(grown)) < length:
            await asyncio.sleep(0)
            steps.append(len(grown) - before)
    return steps
