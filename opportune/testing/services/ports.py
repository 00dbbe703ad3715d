"""Servers that tests start as programs, and ports for them."""

import random
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

START_SECONDS = 60
PORTS = range(20_000, 32_000)
"""Ports below those that Linux gives to outgoing connections, which could take the port of a stopped process."""


@cache
def _remaining_ports() -> list[int]:
    """Return the ports that this process has not used, in random order. Shuffling them is slow."""
    return random.SystemRandom().sample(PORTS, len(PORTS))


def free_port() -> int:
    """Return a free port, once only: a server that is not yet listening does not hold its port."""
    while True:
        port = _remaining_ports().pop()
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextmanager
def running_server(command: Sequence[str], port: int, **options: Any) -> Iterator[None]:
    """Run a program, with options of `subprocess.Popen`, that accepts connections on a port until the block ends.

    Raises:
        RuntimeError: The server did not start.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            _wait_until_reachable(port, process)
            yield
        finally:
            process.kill()


def _wait_until_reachable(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"The test server of port {port} did not start")
