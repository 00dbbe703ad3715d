"""Where answers are kept. What is here is for one process; `redis_store` is for all of them."""

import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass

from opportune.web.cache.cached_response import CachedResponse

ALL_TAGS = "*"
"""The tag that everything has."""

Marks = tuple[str, ...]
"""The state of tags, which `clear` changes. An answer counts while its tags are as they were when its build began."""


@dataclass(frozen=True, slots=True)
class CacheLookup:
    answer: CachedResponse | None
    marks: Marks


@dataclass(frozen=True, slots=True)
class CacheSize:
    entries: int
    bytes: int | None
    """None: not known."""


class Store(ABC):
    """Where cached responses are. No method raises because the store cannot be reached: then nothing is cached."""

    name: str
    is_shared: bool
    """Whether other processes have it too."""

    async def close(self) -> None:
        """Let go of connections."""

    @abstractmethod
    async def find(self, key: str, tags: tuple[str, ...]) -> CacheLookup: ...

    @abstractmethod
    async def keep(
        self, key: str, answer: CachedResponse, found: CacheLookup, tags: tuple[str, ...], seconds: float
    ) -> None:
        """Keep an answer; `found` is what was there before it was built."""

    @abstractmethod
    async def drop(self, key: str) -> None: ...

    @abstractmethod
    async def clear(self, *tags: str) -> None: ...

    @abstractmethod
    async def size(self) -> CacheSize: ...

    async def claim(self, _work: str) -> bool:
        """Whether this process may do it: no other one is at it."""
        return True

    async def release(self, _work: str) -> None:
        """The end of what `claim` began."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    answer: CachedResponse
    marks: Marks
    tags: tuple[str, ...]
    until: float
    size: int


class MemoryStore(Store):
    """Cached responses of this process, up to so many entries and bytes; the least recently used goes first."""

    name = "memory"
    is_shared = False
    max_marks = 10_000

    def __init__(self, entries: int = 2000, size: int = 32 * 1024 * 1024) -> None:
        self._kept: OrderedDict[str, CacheEntry] = OrderedDict()
        self._marks: dict[str, str] = {}
        self._cleared = 0
        self._entries, self._room = entries, size
        self._bytes = 0

    async def find(self, key: str, tags: tuple[str, ...]) -> CacheLookup:
        marks = self._marks_of(tags)
        kept = self._kept.get(key)
        if kept is None:
            return CacheLookup(None, marks)
        if kept.until < time.monotonic():
            self._drop(key)
            return CacheLookup(None, marks)
        self._kept.move_to_end(key)
        return CacheLookup(kept.answer, marks)

    async def keep(
        self, key: str, answer: CachedResponse, found: CacheLookup, tags: tuple[str, ...], seconds: float
    ) -> None:
        if found.marks != self._marks_of(tags):
            return  # cleared while it was built
        self._drop(key)
        size = len(answer.body) + sum(len(name) + len(value) for name, value in answer.headers)
        self._kept[key] = CacheEntry(answer, found.marks, tags, time.monotonic() + seconds, size)
        self._bytes += size
        while self._bytes > self._room or len(self._kept) > self._entries:
            self._drop(next(iter(self._kept)))

    async def drop(self, key: str) -> None:
        self._drop(key)

    async def clear(self, *tags: str) -> None:
        self._cleared += 1
        if len(self._marks) + len(tags) > self.max_marks:
            self._marks, tags = {}, (ALL_TAGS,)
        self._marks |= dict.fromkeys(tags, str(self._cleared))
        for key in [key for key, kept in self._kept.items() if ALL_TAGS in tags or not set(tags).isdisjoint(kept.tags)]:
            self._drop(key)

    async def size(self) -> CacheSize:
        return CacheSize(len(self._kept), self._bytes)

    def _marks_of(self, tags: tuple[str, ...]) -> Marks:
        return tuple([self._marks.get(tag, "") for tag in (ALL_TAGS, *tags)])

    def _drop(self, key: str) -> None:
        if kept := self._kept.pop(key, None):
            self._bytes -= kept.size
