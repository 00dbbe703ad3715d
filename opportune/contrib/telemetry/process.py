"""Start time, memory and event loop lag of this process, and work before its shutdown."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from opportune.config.hosts import shutdown_seconds

if sys.platform != "win32":
    import resource

STARTED_AT = time.time()
"""Seconds since 1970."""


def resident_memory_bytes() -> int:
    """Return the resident memory, its peak on systems without `/proc`, or 0 on Windows."""
    used_bytes = 0
    if sys.platform != "win32":  # mypy reads the code after `return 0` also for Windows
        with suppress(OSError):  # only Linux has this file
            resident_pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
            return resident_pages * resource.getpagesize()
        unit_bytes = 1 if sys.platform == "darwin" else 1024
        used_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes
    return used_bytes


async def lag_seconds(interval: float) -> float:
    """Measure the delay of the event loop by sleeping for `interval` seconds."""
    start = time.perf_counter()
    await asyncio.sleep(interval)
    return max(0.0, time.perf_counter() - start - interval)


def flush_seconds(limit: float) -> float:
    return min(limit, shutdown_seconds() / 3)


async def run_before_shutdown(function: Callable[[], object], seconds: float) -> None:
    """Run a blocking function for at most `seconds`. A daemon thread does not delay the end of the process."""
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def run() -> None:
        function()
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(finished.set)

    threading.Thread(target=run, name="flush telemetry", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await finished.wait()
