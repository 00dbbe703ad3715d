"""Cache entries in Redis, shared by all processes. If Redis is unavailable, nothing is cached.

A full Redis still serves stored entries.

The library cashews provides commands, connections and locks.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from opportune.web.cache.store import LEASE_SECONDS, TAG_SECONDS, CacheSize, SharedStore, lock_key, new_version, tag_key

if TYPE_CHECKING:
    from opportune.web.cache.redis_client import RedisClient

logger = logging.getLogger(__name__)
T = TypeVar("T")

KEY_PREFIX = "opportune:cache:"
REDIS_TIMEOUT_SECONDS = 0.5
"""Timeout of a command. Building most pages takes less time."""
RETRY_AFTER_SECONDS = 5.0
"""Seconds after a failure in which no command is sent to Redis."""
MAX_COUNTED_ENTRIES = 10_000
ENTRY_PATTERN = f"{KEY_PREFIX}[0-9a-f]*"
FULL = "OutOfMemoryError"
"""Error of a Redis that is full and evicts nothing."""


class RedisStore(SharedStore):
    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url = url
        self._redis: RedisClient | None = None
        self._connect_lock = asyncio.Lock()
        self._retry_reads_at = self._retry_writes_at = 0.0
        """Times of the next attempts after a failure, by `time.monotonic`."""
        self._failure: str | None = None
        """Name of the last error, until a command succeeds."""
        self._pending_tags: set[str] = set()
        """Tags to clear before the next command."""
        self._errors: tuple[type[Exception], ...] = ()
        self._token = secrets.token_hex(8)
        """Name of this process in its locks."""

    async def close(self) -> None:
        if self._redis:
            await self._redis.close()

    async def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        names = [KEY_PREFIX + key for key in keys]
        missing: list[bytes | None] = [None] * len(names)
        return await self._run(lambda redis: redis.get_values(names), missing)

    async def write(self, key: str, value: bytes, seconds: float) -> None:
        await self._run(lambda redis: redis.put(KEY_PREFIX + key, value, seconds), None, writes=True)

    async def drop(self, key: str) -> None:
        await self._run(lambda redis: redis.delete(KEY_PREFIX + key), False)

    async def clear(self, *tags: str) -> None:
        self._pending_tags.update(tags)
        await self._run(self._clear_pending, None, writes=True)

    async def size(self) -> CacheSize:
        return CacheSize(await self._run(_count_entries, 0), None)

    async def claim(self, build: str) -> bool:
        name = KEY_PREFIX + lock_key(build)
        return await self._run(lambda redis: redis.set_lock(name, self._token, LEASE_SECONDS), True, writes=True)

    async def release(self, build: str) -> None:
        await self._run(lambda redis: redis.unlock(KEY_PREFIX + lock_key(build), self._token), False)

    async def check(self) -> str:
        await self._run(lambda redis: redis.put(KEY_PREFIX + lock_key("check"), b"", 1), None, writes=True)
        return self._failure or ""

    async def _run(self, command: "Callable[[RedisClient], Awaitable[T]]", default: T, *, writes: bool = False) -> T:
        """Run a command. Return the default if Redis is unavailable, or full and the command writes."""
        retry_at = self._retry_writes_at if writes else self._retry_reads_at
        if time.monotonic() < retry_at:
            return default
        redis = self._redis or await self._connect()  # opens no connection yet
        cancellations = _cancellations()
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                await self._clear_pending(redis)
                result = await command(redis)
        except self._errors as error:
            self._record_failure(error, writes=writes)
            return default
        if _cancellations() > cancellations:  # redis-py 8.1 swallows the cancellation
            raise asyncio.CancelledError
        if self._failure and (writes or self._failure != FULL):  # a full Redis can be read
            self._failure = None
            logger.info("the cache at %s is available again", self.name)
        return result

    async def _connect(self) -> "RedisClient":
        async with self._connect_lock:
            if self._redis is None:
                module = await asyncio.to_thread(import_module, "opportune.web.cache.redis_client")
                self._errors = (module.CacheBackendInteractionError, TimeoutError)
                client: RedisClient = module.RedisClient(self._url, REDIS_TIMEOUT_SECONDS)
                await client.open()
                self._redis = client
        return self._redis

    async def _clear_pending(self, redis: "RedisClient") -> None:
        """Clear the pending tags, including tags that were cleared while Redis was unavailable."""
        while self._pending_tags:
            tag = next(iter(self._pending_tags))
            try:
                await _clear_tag(redis, tag)
            except self._errors as error:
                if not _is_full(error):
                    raise
                # Otherwise other processes would still serve the entries.
                await redis.delete_match(ENTRY_PATTERN)
                await _clear_tag(redis, tag)
            self._pending_tags.discard(tag)

    def _record_failure(self, error: Exception, *, writes: bool) -> None:
        self._retry_writes_at = time.monotonic() + RETRY_AFTER_SECONDS
        if not _is_full(error) or not writes or self._pending_tags:
            self._retry_reads_at = self._retry_writes_at
        if self._failure is None:
            effect = "no more pages are stored" if _is_full(error) else "pages are built without it"
            logger.warning("the cache at %s is unavailable (%s): %s", self.name, _reason(error), effect)
        self._failure = _reason(error)


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


async def _clear_tag(redis: "RedisClient", tag: str) -> None:
    await redis.put(KEY_PREFIX + tag_key(tag), new_version(), TAG_SECONDS)


def _reason(error: Exception) -> str:
    """Return the name of the error that cashews has wrapped, such as `ConnectionError`."""
    cause = None if isinstance(error, TimeoutError) else error.__cause__
    return type(cause or error).__name__


def _is_full(error: Exception) -> bool:
    return _reason(error) == FULL


async def _count_entries(redis: "RedisClient") -> int:
    count = 0
    async for _ in redis.scan(ENTRY_PATTERN, batch_size=1000):
        count += 1
        if count >= MAX_COUNTED_ENTRIES:
            break
    return count
