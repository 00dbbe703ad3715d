"""Redis client of the cache, based on cashews. It is imported by the first command, because the import is slow."""

import asyncio
from collections.abc import Sequence
from typing import Any

from cashews.backends.redis import Redis
from cashews.exceptions import CacheBackendInteractionError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from opportune.services.tasks import run_in_background

__all__ = ["CacheBackendInteractionError", "RedisClient"]

MAX_CONNECTIONS = 32

ValuesByKey = dict[str, bytes | None]


class _Batch:
    """Keys of concurrent calls, which are read with one MGET after that of the previous batch."""

    def __init__(self, client: Any, previous: "_Batch | None", timeout_seconds: float) -> None:
        self.is_open = True
        """Whether calls may add keys, because the MGET has not been sent."""
        self.keys: set[str] = set()
        self.values = run_in_background(self._read(client, previous, timeout_seconds))

    async def _read(self, client: Any, previous: "_Batch | None", timeout_seconds: float) -> ValuesByKey:
        if previous:
            await asyncio.wait({previous.values})
        self.is_open = False
        keys = list(self.keys)
        async with asyncio.timeout(timeout_seconds):
            # `get_many` creates a task for each value.
            return dict(zip(keys, await client.mget(keys), strict=True))


class RedisClient(Redis):
    """cashews' Redis with plain bytes as values, because unpickling is unsafe. Raises if Redis is unavailable."""

    _client: Any

    def __init__(self, url: str, timeout_seconds: float) -> None:
        super().__init__(url, suppress=False, max_connections=MAX_CONNECTIONS, retry=Retry(NoBackoff(), 1))
        self._timeout_seconds = timeout_seconds
        self._batch: _Batch | None = None

    async def open(self) -> None:
        await super().init()  # type: ignore[no-untyped-call]  # its types are missing

    async def get_values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values. Concurrent calls share one MGET, which is sent after the last of them.

        A value is never older than the call, so a cleared response is not served again.
        """
        batch = self._batch
        if batch is None or not batch.is_open:
            batch = self._batch = _Batch(self._client, batch, self._timeout_seconds)
        batch.keys.update(keys)
        values = await asyncio.shield(batch.values)  # a cancelled request does not cancel the others
        return [values[key] for key in keys]

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        await self._client.set(key, value, px=int(seconds * 1000))

    async def close(self) -> None:  # the inherited method warns that it is deprecated
        if self._batch:
            await asyncio.wait({self._batch.values})
        await self._client.aclose()
        await self._client.connection_pool.disconnect()
