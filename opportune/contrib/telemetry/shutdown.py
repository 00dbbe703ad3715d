"""Send pending reports and traces within the time that the host allows for a shutdown."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from opportune.config.hosts import shutdown_seconds


def flush_seconds(limit: float) -> float:
    return min(limit, shutdown_seconds() / 3)


async def run_before_shutdown(function: Callable[[], object], seconds: float) -> None:
    """Run a blocking function for at most `seconds`. A daemon thread does not delay the end of the process."""
    loop, finished = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        function()
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(finished.set)

    threading.Thread(target=run, name="flush telemetry", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await finished.wait()
