"""Counts of the library `limits`: in Redis for all processes, else in memory."""

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
from opportune.web.rate_limit.limit import Hit, TooManyRequests

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import FixedWindowRateLimiter

logger = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[str, str]

MAX_COUNTERS_IN_MEMORY = 10_000
"""Beyond them the oldest are forgotten."""
REDIS_TIMEOUT_SECONDS = 0.5


class CacheStorage:
    """Counts in the Redis of CACHE_URL, or in this process. The first that is counted imports and opens."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.cache_url.get_secret_value().strip()
        self._opening = asyncio.Lock()
        self._memory: MemoryStorage | None = None
        self._limiters: list[FixedWindowRateLimiter] = []

    async def hit(self, *hits: Hit) -> None:
        counted: list[Hit] = []
        for each in hits:
            if seconds := await self._ask(_hit, each):
                await self._give_back(counted)
                raise TooManyRequests(seconds)
            counted.append(each)

    async def check(self, *hits: Hit) -> None:
        for each in hits:
            if seconds := await self._ask(_remaining_seconds, each):
                raise TooManyRequests(seconds)

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        del session  # these counts are not in the database
        await self._give_back(hits)

    async def close(self) -> None:
        for limiter in self._limiters:
            storage: Any = limiter.storage
            if storage is not self._memory:
                await storage.bridge.get_connection().aclose()

    async def _give_back(self, hits: Iterable[Hit]) -> None:
        for each in hits:
            await self._ask(_take_back, each)

    async def _ask(self, work: "Callable[[FixedWindowRateLimiter, RateLimitItem, Key], Awaitable[T]]", hit: Hit) -> T:
        """Do it in Redis, or here while Redis does not answer."""
        async with self._opening:
            if not self._limiters:
                await asyncio.to_thread(self._open)
        from limits import RateLimitItemPerSecond
        from limits.errors import StorageError

        # Not the address itself: Redis is no place for people's data.
        key = hit.rate_limit.action, hashlib.sha256(hit.who.encode(errors="replace")).hexdigest()[:32]
        item = RateLimitItemPerSecond(hit.rate_limit.limit, hit.rate_limit.seconds)
        *shared, memory = self._limiters
        for limiter in shared:
            try:
                return await work(limiter, item, key)
            except StorageError:
                logger.warning("Redis at CACHE_URL does not answer: this process counts by itself.")
        await self._forget_the_oldest()
        return await work(memory, item, key)

    def _open(self) -> None:
        from limits.aio.storage import MemoryStorage, RedisStorage
        from limits.aio.strategies import FixedWindowRateLimiter

        self._memory = MemoryStorage()
        storages: list[MemoryStorage | RedisStorage] = [self._memory]
        if self._url.startswith("redis"):
            waits: dict[str, Any] = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), REDIS_TIMEOUT_SECONDS)
            shared = RedisStorage(f"async+{self._url}", implementation="redispy", wrap_exceptions=True, **waits)
            storages.insert(0, shared)
        self._limiters = [FixedWindowRateLimiter(storage) for storage in storages]

    async def _forget_the_oldest(self) -> None:
        assert self._memory is not None
        kept = self._memory.expirations
        for key in list(islice(kept, max(0, len(kept) - MAX_COUNTERS_IN_MEMORY + 1))):
            await self._memory.clear(key)


async def _hit(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> int:
    """Nothing, or the seconds to wait if it was one too many."""
    if await limiter.hit(item, *key):
        return 0
    await limiter.hit(item, *key, cost=-1)  # the library counts it, though it says no
    return await _seconds_to_reset(limiter, item, key)


async def _remaining_seconds(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> int:
    """Return the seconds to wait if the limit is used up, else 0."""
    return 0 if await limiter.test(item, *key) else await _seconds_to_reset(limiter, item, key)


async def _seconds_to_reset(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> int:
    reset = (await limiter.get_window_stats(item, *key)).reset_time
    return max(1, math.ceil(reset - time.time()))


async def _take_back(limiter: "FixedWindowRateLimiter", item: "RateLimitItem", key: Key) -> None:
    if (await limiter.get_window_stats(item, *key)).remaining < item.amount:  # never below nothing
        await limiter.hit(item, *key, cost=-1)
