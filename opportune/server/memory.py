"""Memory available to this process."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MAX_LIMIT_BYTES = 2**60
"""Kernels report larger values for unlimited memory."""


def memory_limit_bytes() -> int | None:
    """Return the memory limit of the container; None without a limit."""
    limits: list[int] = []
    for path in _limit_files():
        with suppress(OSError, ValueError):  # a missing file, or `max` for no limit
            limits.append(int(path.read_text(encoding="utf-8")))
    return min((limit for limit in limits if limit < MAX_LIMIT_BYTES), default=None)


def total_memory_bytes() -> int | None:
    """Return the memory of the container or the machine; None if the system does not report it."""
    if sys.platform == "win32":
        return None
    with suppress(OSError, ValueError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min(total, memory_limit_bytes() or total)
    return None


def _limit_files() -> Iterator[Path]:
    """Yield the limit files of the top cgroup and of this process's cgroup. In a container they are the same."""
    yield CGROUPS / "memory.max"
    yield CGROUPS / "memory/memory.limit_in_bytes"
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield CGROUPS / path.lstrip("/") / "memory.max"
            elif controllers == "memory":
                yield CGROUPS / "memory" / path.lstrip("/") / "memory.limit_in_bytes"
