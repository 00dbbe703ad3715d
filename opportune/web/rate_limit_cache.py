"""Storage of rate limits in Redis or memory, with the library `limits`."""

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.web.rate_limit import Hit, TooManyRequests

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import FixedWindowRateLimiter
    from limits.errors import StorageError

logger = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[str, str]

MAX_COUNTERS_IN_MEMORY = 10_000
"""The oldest counters above this number are removed."""
REDIS_TIMEOUT_SECONDS = 0.5
TIMEOUT_OPTIONS = ("socket_timeout", "socket_connect_timeout")
RETRY_AFTER_SECONDS = 5.0
"""Seconds after a failure in which no command is sent to Redis, because a silent Redis would delay each request."""


class CacheStorage:
    """Counters in the Redis of CACHE_URL, or in this process. The first hit imports the library and connects."""

    def __init__(self, settings: Settings) -> None:
        self._redis_url = settings.cache_url.get_secret_value().strip() if settings.has_redis else ""
        self._connecting = asyncio.Lock()
        self._memory: MemoryStorage | None = None
        self._limiters: list[FixedWindowRateLimiter] = []
        """One for Redis, if the site has it, and one for the memory of this process. Empty before the first hit."""
        self._unavailable_until = 0.0
        """Time of the next attempt after a failure, by `time.monotonic`; 0 while Redis is available."""

    async def hit(self, *hits: Hit) -> None:
        for index, hit in enumerate(hits):
            if seconds := await self._run(_hit, hit):
                await self._refund(hits[:index])
                raise TooManyRequests(seconds)

    async def check(self, *hits: Hit) -> None:
        for hit in hits:
            if seconds := await self._run(_remaining_seconds, hit):
                raise TooManyRequests(seconds)

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        del session  # the counters are not in the database
        await self._refund(hits)

    async def close(self) -> None:
        for limiter in self._limiters[:-1]:  # without the one for the memory
            storage: Any = limiter.storage
            await storage.bridge.get_connection().aclose()

    async def _refund(self, hits: Iterable[Hit]) -> None:
        for hit in hits:
            await self._run(_refund_hit, hit)

    async def _run(
        self, command: "Callable[[FixedWindowRateLimiter, RateLimitItem, Key], Awaitable[T]]", hit: Hit
    ) -> T:
        """Run a command in Redis, or in memory while Redis is unavailable."""
        async with self._connecting:
            if not self._limiters:
                await asyncio.to_thread(self._open)
        from limits import RateLimitItemPerSecond
        from limits.errors import StorageError

        # Addresses and ids are hashed to keep personal data out of Redis.
        key = hit.rate_limit.action, hashlib.sha256(hit.subject.encode(errors="replace")).hexdigest()[:32]
        item = RateLimitItemPerSecond(hit.rate_limit.limit, hit.rate_limit.seconds)
        *in_redis, in_memory = self._limiters
        if in_redis and time.monotonic() >= self._unavailable_until:
            try:
                result = await command(in_redis[0], item, key)
            except StorageError as error:
                self._record_failure(error)
            else:
                self._record_success()
                return result
        await self._evict_oldest()
        return await command(in_memory, item, key)

    def _record_failure(self, error: "StorageError") -> None:
        if not self._unavailable_until:
            reason = type(error.storage_error).__name__
            logger.warning("Redis at CACHE_URL is unavailable (%s): rate limits are counted in this process.", reason)
        self._unavailable_until = time.monotonic() + RETRY_AFTER_SECONDS

    def _record_success(self) -> None:
        if self._unavailable_until:
            self._unavailable_until = 0.0
            logger.info("Redis at CACHE_URL is available again: rate limits are shared.")

    def _open(self) -> None:
        from limits.aio.storage import MemoryStorage, RedisStorage
        from limits.aio.strategies import FixedWindowRateLimiter

        self._memory = MemoryStorage()
        storages: list[MemoryStorage | RedisStorage] = [self._memory]
        if self._redis_url:
            timeouts: dict[str, Any] = dict.fromkeys(TIMEOUT_OPTIONS, REDIS_TIMEOUT_SECONDS)
            url = f"async+{self._redis_url}"
            storages.insert(0, RedisStorage(url, implementation="redispy", wrap_exceptions=True, **timeouts))
        self._limiters = [FixedWindowRateLimiter(storage) for storage in storages]

    async def _evict_oldest(self) -> None:
        assert self._memory is not None
        expirations = self._memory.expirations
        for key in list(islice(expirations, max(0, len(expirations) - MAX_COUNTERS_IN_MEMORY + 1))):
            await self._memory.clear(key)


async def _hit(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> int:
    """Count the hit. Return the seconds to wait if it exceeds the limit, else 0."""
    if await limiter.hit(item, *key):
        return 0
    await limiter.hit(item, *key, cost=-1)  # the library counts refused hits
    return await _seconds_to_reset(limiter, item, key)


async def _remaining_seconds(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> int:
    """Return the seconds to wait if the limit is used up, else 0."""
    return 0 if await limiter.test(item, *key) else await _seconds_to_reset(limiter, item, key)


async def _seconds_to_reset(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> int:
    reset = (await limiter.get_window_stats(item, *key)).reset_time
    return max(1, math.ceil(reset - time.time()))


async def _refund_hit(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> None:
    if (await limiter.get_window_stats(item, *key)).remaining < item.amount:  # never below zero
        await limiter.hit(item, *key, cost=-1)
