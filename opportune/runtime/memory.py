"""How much memory there is for this process."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MAX_LIMIT_BYTES = 2**60
"""More is how a kernel says that there is none."""


def memory_limit_bytes() -> int | None:
    """What the container may use; None where nothing limits it."""
    limits: list[int] = []
    for path in _limit_files():
        with suppress(OSError, ValueError):  # `max`, as a kernel says too, is no number
            limits.append(int(path.read_text(encoding="utf-8")))
    return min((limit for limit in limits if limit < MAX_LIMIT_BYTES), default=None)


def total_memory_bytes() -> int | None:
    """What the container may use, or the machine has; None where nobody tells."""
    if sys.platform == "win32":
        return None
    with suppress(OSError, ValueError):
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min(there, memory_limit_bytes() or there)
    return None


def _limit_files() -> Iterator[Path]:
    """Those of this process's own group and of the topmost that it sees, which in a container are the same."""
    yield CGROUPS / "memory.max"
    yield CGROUPS / "memory/memory.limit_in_bytes"
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield CGROUPS / path.lstrip("/") / "memory.max"
            elif controllers == "memory":
                yield CGROUPS / "memory" / path.lstrip("/") / "memory.limit_in_bytes"
