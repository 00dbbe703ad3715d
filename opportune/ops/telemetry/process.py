"""What this process is and takes: its number among the workers, its age, its memory."""

import asyncio
import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import resource

STARTED_AT = time.time()
"""Seconds since 1970."""
WORKERS_VARIABLE = "OPPORTUNE_WORKERS"
"""The name of a server's group of workers and how many they are: set by their parent."""


def form_group(workers: int) -> None:
    """Have the processes that this one starts know one another."""
    os.environ[WORKERS_VARIABLE] = f"{secrets.token_hex(8)}:{workers}"


def resident_memory_bytes() -> int:
    """Resident memory; its highest so far where the system tells no more; 0 where it tells nothing."""
    used = 0
    if sys.platform != "win32":
        with suppress(OSError, ValueError, IndexError):
            return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * resource.getpagesize()
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return used


async def lag_seconds(over: float) -> float:
    """By how much the running loop is late, found out in so many seconds."""
    began = time.perf_counter()
    await asyncio.sleep(over)
    return max(0.0, time.perf_counter() - began - over)
