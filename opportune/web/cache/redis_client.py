"""Redis client of the cache, based on cashews. It is imported by the first command, because the import is slow."""

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
    """cashews' Redis with plain bytes as values, because unpickling is unsafe. Raises if Redis is unavailable."""

    _client: Any

    def __init__(self, url: str) -> None:
        super().__init__(url, suppress=False, max_connections=MAX_CONNECTIONS, retry=Retry(NoBackoff(), 1))
        self._next_keys: dict[str, None] | None = None
        """Keys to read with the next MGET, or None if no call waits for one."""
        self._read: asyncio.Task[Values] | None = None

    async def open(self) -> None:
        await super().init()  # type: ignore[no-untyped-call]  # its types are missing

    async def get_values(self, keys: Sequence[str], seconds: float) -> list[bytes | None]:
        """Return the values. Concurrent calls share one MGET, which is sent after the last of them.

        A value is never older than the call, so a cleared response is not served again.
        """
        if self._next_keys is None or self._read is None:
            self._next_keys = {}
            self._read = asyncio.create_task(self._send_mget(self._next_keys, self._read, seconds))
            self._read.add_done_callback(_retrieve_exception)
        self._next_keys.update(dict.fromkeys(keys))
        values = await asyncio.shield(self._read)  # a cancelled request does not cancel the others
        return [values[key] for key in keys]

    async def _send_mget(
        self, keys: dict[str, None], previous: "asyncio.Task[Values] | None", seconds: float
    ) -> Values:
        if previous:
            await asyncio.wait({previous})
        self._next_keys = None
        async with asyncio.timeout(seconds):
            # `get_many` creates a task for each value.
            return dict(zip(keys, await self._client.mget(keys), strict=True))

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        await self._client.set(key, value, px=int(seconds * 1000))

    async def close(self) -> None:  # the inherited method warns that it is deprecated
        if self._read:
            await asyncio.wait({self._read})
        await self._client.aclose()
        await self._client.connection_pool.disconnect()


def _retrieve_exception(task: "asyncio.Task[Values]") -> None:
    """Prevent asyncio's warning about an error if all waiting requests were cancelled."""
    if not task.cancelled():
        task.exception()
