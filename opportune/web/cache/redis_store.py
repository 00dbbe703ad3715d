"""Answers that all processes share, in a Redis that may be away: then there are none, and pages are built.

Commands, connections and locks are those of cashews.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from opportune.web.cache.cached_response import CachedResponse, unpack
from opportune.web.cache.rule import MAX_AGE_SECONDS
from opportune.web.cache.store import ALL_TAGS, CacheLookup, CacheSize, Marks, Store

if TYPE_CHECKING:
    from opportune.web.cache.redis_client import RedisClient

logger = logging.getLogger(__name__)
T = TypeVar("T")

KEY_PREFIX = "opportune:pages:"
REDIS_TIMEOUT_SECONDS = 0.5
"""Seconds in which Redis must answer. Building most pages takes less."""
RETRY_AFTER_SECONDS = 5.0
"""Seconds until it is asked again."""
LEASE_SECONDS = 10
"""Seconds for which a process that has died keeps others from building the same."""
MAX_COUNTED_ENTRIES = 10_000


class RedisStore(Store):
    is_shared = True

    def __init__(self, url: str, shown: str) -> None:
        self.name = shown
        self._url = url
        self._redis: RedisClient | None = None
        self._opening = asyncio.Lock()
        self._away_until = 0.0
        self._is_away = False
        self._missed: set[str] = set()
        self._faults: tuple[type[Exception], ...] = ()
        self._token = secrets.token_hex(8)

    async def close(self) -> None:
        if self._redis:
            await self._redis.close()

    async def find(self, key: str, tags: tuple[str, ...]) -> CacheLookup:
        names = (KEY_PREFIX + key, *(_mark(tag) for tag in (ALL_TAGS, *tags)))
        nothing: list[bytes | None] = [None] * len(names)
        kept, *states = await self._ask(lambda redis: redis.take(names, REDIS_TIMEOUT_SECONDS), nothing)
        marks = tuple([state.decode() if state else "" for state in states])
        return CacheLookup(_answer(kept, marks), marks)

    async def keep(
        self, key: str, answer: CachedResponse, found: CacheLookup, tags: tuple[str, ...], seconds: float
    ) -> None:
        value = ":".join(found.marks).encode() + b"\n" + answer.packed()
        await self._ask(lambda redis: redis.put(KEY_PREFIX + key, value, seconds), None)

    async def drop(self, key: str) -> None:
        await self._ask(lambda redis: redis.delete(KEY_PREFIX + key), False)

    async def clear(self, *tags: str) -> None:
        self._missed.update(tags)
        await self._ask(self._catch_up, None)

    async def size(self) -> CacheSize:
        return CacheSize(await self._ask(_count, 0), None)

    async def claim(self, work: str) -> bool:
        name = f"{KEY_PREFIX}lock:{work}"
        return await self._ask(lambda redis: redis.set_lock(name, self._token, LEASE_SECONDS), True)

    async def release(self, work: str) -> None:
        await self._ask(lambda redis: redis.unlock(f"{KEY_PREFIX}lock:{work}", self._token), False)

    async def _ask(self, question: "Callable[[RedisClient], Awaitable[T]]", otherwise: T) -> T:
        if time.monotonic() < self._away_until:
            return otherwise
        redis = self._redis or await self._opened()
        cancelled = _times_cancelled()
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                await self._catch_up(redis)
                answer = await question(redis)
        except self._faults as error:
            self._miss(error)
            return otherwise
        if _times_cancelled() > cancelled:  # redis-py 8.1 has answered all the same
            raise asyncio.CancelledError
        if self._is_away:
            self._is_away = False
            logger.info("the cache at %s answers again", self.name)
        return answer

    async def _opened(self) -> "RedisClient":
        async with self._opening:
            if self._redis is None:
                module = await asyncio.to_thread(import_module, "opportune.web.cache.redis_client")
                self._faults = (module.CacheBackendInteractionError, TimeoutError)
                client: RedisClient = module.RedisClient(self._url)
                await client.open()
                self._redis = client
        return self._redis

    async def _catch_up(self, redis: "RedisClient") -> None:
        """Clear, also what was to be cleared while Redis was away."""
        while self._missed:
            tag = next(iter(self._missed))
            await redis.put(_mark(tag), secrets.token_hex(8).encode(), 2 * MAX_AGE_SECONDS)
            self._missed.discard(tag)

    def _miss(self, error: Exception) -> None:
        self._away_until = time.monotonic() + RETRY_AFTER_SECONDS
        if not self._is_away:
            self._is_away = True
            reason = type(error if isinstance(error, TimeoutError) else error.__cause__ or error).__name__
            logger.warning("the cache at %s does not answer (%s): pages are built without it", self.name, reason)


def _times_cancelled() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _mark(tag: str) -> str:
    return f"{KEY_PREFIX}tag:{tag}"


def _answer(kept: bytes | None, marks: Marks) -> CachedResponse | None:
    """What was written, if its tags are as they were then."""
    if kept is None:
        return None
    written, _, packed = kept.partition(b"\n")
    try:
        return unpack(packed) if written == ":".join(marks).encode() else None
    except ValueError:  # of another version of this program
        return None


async def _count(redis: "RedisClient") -> int:
    count = 0
    async for _ in redis.scan(f"{KEY_PREFIX}[0-9a-f]*", batch_size=1000):
        count += 1
        if count >= MAX_COUNTED_ENTRIES:
            break
    return count
