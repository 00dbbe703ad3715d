"""Ports of services that restart, and a Redis that a test can stop, start again and fill."""

import secrets
import socket
from contextlib import ExitStack, suppress

from redis import Redis

from opportune.testing.services.redis import redis

NO_LIMIT = 0
FIRST_PORT, PORTS = 20_000, 12_000
"""Ports below those that Linux gives to outgoing connections, which could take the port of a stopped process."""


def choose_port() -> int:
    """Return a free port, which stays free while its process restarts."""
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class RestartableRedis:
    def __init__(self) -> None:
        self._port = choose_port()
        self._running = ExitStack()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        self._running.enter_context(redis(self._port))

    def stop(self) -> None:
        self._running.close()

    def fill(self) -> None:
        """Refuse commands that need memory, because Redis evicts nothing by default."""
        self._limit_memory(1)

    def empty(self) -> None:
        """Accept all commands again."""
        self._limit_memory(NO_LIMIT)

    def _limit_memory(self, byte_count: int) -> None:
        with Redis.from_url(self.url) as client:
            client.config_set("maxmemory", byte_count)
