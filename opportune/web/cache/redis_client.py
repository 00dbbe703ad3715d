"""cashews' commands for Redis, as the cache wants them. Imported when the first of them is sent: it takes a while."""

import asyncio
from collections.abc import Sequence
from typing import Any

from cashews.backends.redis import Redis
from cashews.exceptions import CacheBackendInteractionError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

__all__ = ["CacheBackendInteractionError", "RedisClient"]

MAX_CONNECTIONS = 32

Values = dict[str, bytes | None]


class RedisClient(Redis):
    """cashews' Redis with bytes for values: pickles from outside could do anything. Raises while Redis is away."""

    _client: Any

    def __init__(self, url: str) -> None:
        super().__init__(url, suppress=False, max_connections=MAX_CONNECTIONS, retry=Retry(NoBackoff(), 1))
        self._wanted: dict[str, None] | None = None
        """What the next command asks for."""
        self._taking: asyncio.Task[Values] | None = None

    async def open(self) -> None:
        await super().init()  # type: ignore[no-untyped-call]  # its types are missing

    async def take(self, names: Sequence[str], seconds: float) -> list[bytes | None]:
        """The values. Who asks while others wait for theirs shares one command with all who do: each takes a while.

        None was sent before it was asked for, so what is cleared is gone at once.
        """
        if self._wanted is None or self._taking is None:
            self._wanted = {}
            self._taking = asyncio.create_task(self._take(self._wanted, self._taking, seconds))
            self._taking.add_done_callback(_heard)
        self._wanted.update(dict.fromkeys(names))
        values = await asyncio.shield(self._taking)  # who leaves does not take the others' answer away
        return [values[name] for name in names]

    async def _take(self, wanted: dict[str, None], before: "asyncio.Task[Values] | None", seconds: float) -> Values:
        if before:
            await asyncio.wait({before})
        self._wanted = None  # who comes now is for the next
        async with asyncio.timeout(seconds):
            # Not `get_many`: it makes a task for each value.
            return dict(zip(wanted, await self._client.mget(wanted), strict=True))

    async def put(self, name: str, value: bytes, seconds: float) -> None:
        await self._client.set(name, value, px=int(seconds * 1000))

    async def close(self) -> None:  # the inherited one warns that it is out of date
        if self._taking:
            await asyncio.wait({self._taking})
        await self._client.aclose()
        await self._client.connection_pool.disconnect()


def _heard(task: "asyncio.Task[Values]") -> None:
    """A failure is no news if all who waited have left."""
    if not task.cancelled():
        task.exception()
