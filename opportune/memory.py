"""How much memory there is for this process."""

import os
import sys
from contextlib import suppress
from pathlib import Path

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
MAX_LIMIT_BYTES = 2**60
"""More is how a kernel says that there is none."""


def memory_limit_bytes() -> int | None:
    """What the container may use; None where nothing limits it."""
    for path in LIMITS:
        with suppress(OSError, ValueError):
            limit = int(Path(path).read_text())
            return limit if limit < MAX_LIMIT_BYTES else None
    return None


def memory_bytes() -> int | None:
    """What the container may use, or the machine has; None where nobody tells."""
    if sys.platform == "win32":
        return None
    with suppress(OSError, ValueError):
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min(there, memory_limit_bytes() or there)
    return None
