"""Store of cached responses, with an implementation in memory. `redis_store` shares them among processes."""

import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass

from opportune.web.cache.cached_response import CachedResponse

ALL_TAGS = "*"
"""Tag of every response."""

Marks = tuple[str, ...]
"""State of each tag. `clear` changes it, which invalidates responses that were built before."""


@dataclass(frozen=True, slots=True)
class CacheLookup:
    response: CachedResponse | None
    marks: Marks


@dataclass(frozen=True, slots=True)
class CacheSize:
    entries: int
    bytes: int | None
    """None if unknown."""


class Store(ABC):
    """Store of cached responses. No method raises if the store is unavailable; nothing is cached then."""

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
        """Save a response. `lookup` is the state of the store before the build."""

    @abstractmethod
    async def drop(self, key: str) -> None: ...

    @abstractmethod
    async def clear(self, *tags: str) -> None: ...

    @abstractmethod
    async def size(self) -> CacheSize: ...

    async def claim(self, _build: str) -> bool:
        """Return whether this process may build the response, because no other process does."""
        return True

    async def release(self, _build: str) -> None:
        """End a build that `claim` has allowed."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    response: CachedResponse
    marks: Marks
    tags: tuple[str, ...]
    until: float
    size: int


class MemoryStore(Store):
    """Least recently used cache of this process, limited in entries and bytes."""

    name = "memory"
    is_shared = False
    max_marks = 10_000

    def __init__(self, entries: int = 2000, size: int = 32 * 1024 * 1024) -> None:
        self._entries: OrderedDict[str, CacheEntry] = OrderedDict()
        self._marks: dict[str, str] = {}
        self._cleared = 0
        self._max_entries, self._max_bytes = entries, size
        self._bytes = 0

    async def find(self, key: str, tags: tuple[str, ...]) -> CacheLookup:
        marks = self._marks_of(tags)
        entry = self._entries.get(key)
        if entry is None:
            return CacheLookup(None, marks)
        if entry.until < time.monotonic():
            self._drop(key)
            return CacheLookup(None, marks)
        self._entries.move_to_end(key)
        return CacheLookup(entry.response, marks)

    async def save(
        self, key: str, response: CachedResponse, lookup: CacheLookup, tags: tuple[str, ...], seconds: float
    ) -> None:
        if lookup.marks != self._marks_of(tags):
            return  # cleared during the build
        self._drop(key)
        size = len(response.body) + sum(len(name) + len(value) for name, value in response.headers)
        self._entries[key] = CacheEntry(response, lookup.marks, tags, time.monotonic() + seconds, size)
        self._bytes += size
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    async def drop(self, key: str) -> None:
        self._drop(key)

    async def clear(self, *tags: str) -> None:
        self._cleared += 1
        if len(self._marks) + len(tags) > self.max_marks:
            self._marks, tags = {}, (ALL_TAGS,)
        self._marks |= dict.fromkeys(tags, str(self._cleared))
        for key in [key for key, entry in self._entries.items() if not {ALL_TAGS, *entry.tags}.isdisjoint(tags)]:
            self._drop(key)

    async def size(self) -> CacheSize:
        return CacheSize(len(self._entries), self._bytes)

    def _marks_of(self, tags: tuple[str, ...]) -> Marks:
        return tuple([self._marks.get(tag, "") for tag in (ALL_TAGS, *tags)])

    def _drop(self, key: str) -> None:
        if entry := self._entries.pop(key, None):
            self._bytes -= entry.size
