"""Redis on a free port, without files."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL

from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.ports import free_port, running_server

PROGRAM = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def redis(port: int | None = None) -> Iterator[str]:
    """Run an empty Redis in the block, and return its URL."""
    if PROGRAM is None:
        skip_for_missing("Redis", "apt install redis-server")
    port = port or free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with running_server([PROGRAM, *options], port, stdout=DEVNULL):
        yield f"redis://127.0.0.1:{port}/0"
