"""A Redis that a test can stop, start again and fill."""

from contextlib import ExitStack

from redis import Redis

from opportune.testing.services.ports import free_port
from opportune.testing.services.redis import redis

NO_LIMIT = 0


class RestartableRedis:
    def __init__(self) -> None:
        self._port = free_port()
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
