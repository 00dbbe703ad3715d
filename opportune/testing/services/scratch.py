"""Where the databases of tests live: in memory if the machine offers enough, since what they promise of disks is kept
by the system and not by us, and waiting for a disk takes most of a test's time."""

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - folders of random names are made there
MIN_FREE_BYTES = 1_000_000_000
"""Bytes."""


def scratch() -> str | None:
    """The folder for `tempfile` to use; None is its own choice."""
    # Sandboxes and minimal containers have the folder and refuse to write there.
    with suppress(OSError), TemporaryFile(dir=SHARED_MEMORY):
        if shutil.disk_usage(SHARED_MEMORY).free > MIN_FREE_BYTES:
            return str(SHARED_MEMORY)
    return None
