"""cashews' commands for Redis, as the cache wants them. Imported when the first of them is sent: it takes a while."""

from typing import Any

from cashews.backends.redis import Redis
from cashews.exceptions import CacheBackendInteractionError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

__all__ = ["CacheBackendInteractionError", "Client"]

CONNECTIONS = 32


class Client(Redis):
    """Raises while Redis is away. Keeps bytes, and no pickles, which from outside could do anything."""

    _client: Any

    def __init__(self, url: str) -> None:
        super().__init__(url, suppress=False, max_connections=CONNECTIONS, retry=Retry(NoBackoff(), 1))

    async def open(self) -> None:
        await super().init()  # type: ignore[no-untyped-call]  # its types are missing

    async def take(self, *names: str) -> list[bytes | None]:
        # Not `get_many`: it makes a task for each value.
        values: list[bytes | None] = await self._client.mget(names)
        return values

    async def put(self, name: str, value: bytes, seconds: float) -> None:
        await self._client.set(name, value, px=int(seconds * 1000))

    async def close(self) -> None:  # the inherited one warns that it is out of date
        await self._client.aclose()
        await self._client.connection_pool.disconnect()
