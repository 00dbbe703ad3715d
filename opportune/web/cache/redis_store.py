"""Cached responses in Redis, shared by all processes. If Redis is unavailable, nothing is cached.

A full Redis still serves stored responses.

The library cashews provides commands, connections and locks.
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
from opportune.web.cache.store import ALL_TAGS, CacheLookup, CacheSize, Store, TagVersions

if TYPE_CHECKING:
    from opportune.web.cache.redis_client import RedisClient

logger = logging.getLogger(__name__)
T = TypeVar("T")

KEY_PREFIX = "opportune:pages:"
REDIS_TIMEOUT_SECONDS = 0.5
"""Timeout of a command. Building most pages takes less time."""
RETRY_AFTER_SECONDS = 5.0
"""Seconds after a failure in which no command is sent to Redis."""
LEASE_SECONDS = 10
"""Seconds after which another process may take over the build of a process that has died."""
MAX_COUNTED_ENTRIES = 10_000
PAGE_PATTERN = f"{KEY_PREFIX}[0-9a-f]*"
FULL = "OutOfMemoryError"
"""Error of a Redis that is full and evicts nothing."""


class RedisStore(Store):
    is_shared = True

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url = url
        self._redis: RedisClient | None = None
        self._connect_lock = asyncio.Lock()
        self._read_at = self._write_at = 0.0
        """Times of the next attempt to read and to write after a failure, by `time.monotonic`."""
        self._failure = ""
        self._pending_tags: set[str] = set()
        self._errors: tuple[type[Exception], ...] = ()
        self._token = secrets.token_hex(8)

    async def close(self) -> None:
        if self._redis:
            await self._redis.close()

    async def find(self, key: str, tags: tuple[str, ...]) -> CacheLookup:
        names = (KEY_PREFIX + key, *(_tag_key(tag) for tag in (ALL_TAGS, *tags)))
        missing: list[bytes | None] = [None] * len(names)
        value, *versions = await self._run(lambda redis: redis.get_values(names, REDIS_TIMEOUT_SECONDS), missing)
        tag_versions = tuple([version.decode() if version else "" for version in versions])
        return CacheLookup(_parse(value, tag_versions), tag_versions)

    async def save(
        self, key: str, response: CachedResponse, lookup: CacheLookup, tags: tuple[str, ...], seconds: float
    ) -> None:
        value = ":".join(lookup.tag_versions).encode() + b"\n" + response.pack()
        await self._run(lambda redis: redis.put(KEY_PREFIX + key, value, seconds), None, writes=True)

    async def drop(self, key: str) -> None:
        await self._run(lambda redis: redis.delete(KEY_PREFIX + key), False)

    async def clear(self, *tags: str) -> None:
        self._pending_tags.update(tags)
        await self._run(self._clear_pending, None, writes=True)

    async def size(self) -> CacheSize:
        return CacheSize(await self._run(_count_entries, 0), None)

    async def claim(self, build: str) -> bool:
        name = f"{KEY_PREFIX}lock:{build}"
        return await self._run(lambda redis: redis.set_lock(name, self._token, LEASE_SECONDS), True, writes=True)

    async def release(self, build: str) -> None:
        await self._run(lambda redis: redis.unlock(f"{KEY_PREFIX}lock:{build}", self._token), False)

    async def check(self) -> str:
        await self._run(lambda redis: redis.put(f"{KEY_PREFIX}lock:check", b"", 1), None, writes=True)
        return self._failure

    async def _run(self, command: "Callable[[RedisClient], Awaitable[T]]", default: T, *, writes: bool = False) -> T:
        """Run a command. Return the default if Redis is unavailable, or full and the command writes."""
        if time.monotonic() < (self._write_at if writes else self._read_at):
            return default
        redis = self._redis or await self._connect()
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
            self._failure = ""
            logger.info("the cache at %s is available again", self.name)
        return result

    async def _connect(self) -> "RedisClient":
        async with self._connect_lock:
            if self._redis is None:
                module = await asyncio.to_thread(import_module, "opportune.web.cache.redis_client")
                self._errors = (module.CacheBackendInteractionError, TimeoutError)
                client: RedisClient = module.RedisClient(self._url)
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
                if _reason(error) != FULL:
                    raise
                # Otherwise other processes would still serve the responses.
                await redis.delete_match(PAGE_PATTERN)
                await _clear_tag(redis, tag)
            self._pending_tags.discard(tag)

    def _record_failure(self, error: Exception, *, writes: bool) -> None:
        reason = _reason(error)
        self._write_at = time.monotonic() + RETRY_AFTER_SECONDS
        if reason != FULL or not writes or self._pending_tags:
            self._read_at = self._write_at
        if not self._failure:
            effect = "no more pages are stored" if reason == FULL else "pages are built without it"
            logger.warning("the cache at %s is unavailable (%s): %s", self.name, reason, effect)
        self._failure = reason


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _tag_key(tag: str) -> str:
    return f"{KEY_PREFIX}tag:{tag}"


async def _clear_tag(redis: "RedisClient", tag: str) -> None:
    await redis.put(_tag_key(tag), secrets.token_hex(8).encode(), 2 * MAX_AGE_SECONDS)


def _reason(error: Exception) -> str:
    return type(error if isinstance(error, TimeoutError) else error.__cause__ or error).__name__


def _parse(value: bytes | None, tag_versions: TagVersions) -> CachedResponse | None:
    """Return the stored response, or None if there is none or one of its tags was cleared."""
    if value is None:
        return None
    saved_versions, _, packed = value.partition(b"\n")
    try:
        return unpack(packed) if saved_versions == ":".join(tag_versions).encode() else None
    except ValueError:  # written by another version
        return None


async def _count_entries(redis: "RedisClient") -> int:
    count = 0
    async for _ in redis.scan(PAGE_PATTERN, batch_size=1000):
        count += 1
        if count >= MAX_COUNTED_ENTRIES:
            break
    return count
