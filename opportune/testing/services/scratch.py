"""Folder for test databases, in memory if there is enough, because tests spend most of their time on the disk."""

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - folders of random names are made there
MIN_FREE_BYTES = 1_000_000_000
"""Free bytes below which the shared memory is not used."""


def scratch() -> str | None:
    """Return the folder for `tempfile`; None for the default."""
    # In sandboxes and minimal containers the folder may be read-only.
    with suppress(OSError), TemporaryFile(dir=SHARED_MEMORY):
        if shutil.disk_usage(SHARED_MEMORY).free > MIN_FREE_BYTES:
            return str(SHARED_MEMORY)
    return None
