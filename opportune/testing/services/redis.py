"""Redis on a free port, without files."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.ports import free_port, wait_until_reachable

PROGRAM = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def redis(port: int | None = None) -> Iterator[str]:
    """Run an empty Redis in the block, and return its URL."""
    if PROGRAM is None:
        skip_for_missing("Redis", "apt install redis-server")
    port = port or free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL)
    try:
        wait_until_reachable(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()
