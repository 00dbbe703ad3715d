"""Store of cached responses, with an implementation in memory. `redis_store` shares them between processes."""

import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass

from opportune.web.cache.cached_response import CachedResponse

ALL_TAGS = "*"
"""Tag of every response."""

TagVersions = tuple[str, ...]
"""Version of each tag of a response. `clear` changes it, which invalidates responses that were built before."""


@dataclass(frozen=True, slots=True)
class CacheLookup:
    response: CachedResponse | None
    tag_versions: TagVersions


@dataclass(frozen=True, slots=True)
class CacheSize:
    entries: int
    bytes: int | None
    """None if unknown."""


class Store(ABC):
    """Store of cached responses. Methods do not raise if the store is unavailable; nothing is cached then."""

    name: str
    is_shared: bool
    """Whether other processes use the same store."""

    async def close(self) -> None:
        """Close connections."""

    @abstractmethod
    async def find(self, key: str, tags: tuple[str, ...]) -> CacheLookup: ...

    @abstractmethod
    async def save(
        self, key: str, response: CachedResponse, lookup: CacheLookup, tags: tuple[str, ...], seconds: float
    ) -> None:
        """Save a response. `lookup` is the result of `find` before the response was generated."""

    @abstractmethod
    async def drop(self, key: str) -> None: ...

    @abstractmethod
    async def clear(self, *tags: str) -> None: ...

    @abstractmethod
    async def size(self) -> CacheSize: ...

    async def check(self) -> str:
        """Return the reason why the store is unavailable or full; empty if it can be used."""
        return ""

    async def claim(self, _key: str) -> bool:
        """Return whether this process may generate the response, because no other process does."""
        return True

    async def release(self, _key: str) -> None:
        """Let other processes generate the response again."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    response: CachedResponse
    tag_versions: TagVersions
    tags: tuple[str, ...]
    expires_at: float
    size: int


class MemoryStore(Store):
    """Least recently used cache of this process, limited in entries and bytes."""

    name = "memory"
    is_shared = False
    max_tags = 10_000
    """Maximum number of tags to remember. If there are more, the whole cache is cleared."""

    def __init__(self, entries: int = 2000, size: int = 32 * 1024 * 1024) -> None:
        self._entries: OrderedDict[str, CacheEntry] = OrderedDict()
        self._tag_versions: dict[str, str] = {}
        self._last_version = 0
        self._max_entries, self._max_bytes = entries, size
        self._bytes = 0

    async def find(self, key: str, tags: tuple[str, ...]) -> CacheLookup:
        tag_versions = self._versions_of(tags)
        entry = self._entries.get(key)
        if entry is None:
            return CacheLookup(None, tag_versions)
        if entry.expires_at < time.monotonic():
            self._drop(key)
            return CacheLookup(None, tag_versions)
        self._entries.move_to_end(key)
        return CacheLookup(entry.response, tag_versions)

    async def save(
        self, key: str, response: CachedResponse, lookup: CacheLookup, tags: tuple[str, ...], seconds: float
    ) -> None:
        if lookup.tag_versions != self._versions_of(tags):
            return  # cleared during the build
        self._drop(key)
        size = len(response.body) + sum(len(name) + len(value) for name, value in response.headers)
        self._entries[key] = CacheEntry(response, lookup.tag_versions, tags, time.monotonic() + seconds, size)
        self._bytes += size
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    async def drop(self, key: str) -> None:
        self._drop(key)

    async def clear(self, *tags: str) -> None:
        self._last_version += 1
        if len(self._tag_versions) + len(tags) > self.max_tags:
            self._tag_versions, tags = {}, (ALL_TAGS,)
        self._tag_versions |= dict.fromkeys(tags, str(self._last_version))
        for key in [key for key, entry in self._entries.items() if not {ALL_TAGS, *entry.tags}.isdisjoint(tags)]:
            self._drop(key)

    async def size(self) -> CacheSize:
        return CacheSize(len(self._entries), self._bytes)

    def _versions_of(self, tags: tuple[str, ...]) -> TagVersions:
        return tuple([self._tag_versions.get(tag, "") for tag in (ALL_TAGS, *tags)])

    def _drop(self, key: str) -> None:
        if entry := self._entries.pop(key, None):
            self._bytes -= entry.size
