"""Stores of cache entries: in the memory of this process, and the base of those that processes share."""

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from opportune.web.cache.rule import MAX_AGE_SECONDS

ALL_TAGS = "*"
"""Tag of every entry."""
MAX_VALUE_BYTES = 1024 * 1024
"""Size of the largest value, part of a page and body of a response."""

TagVersions = Mapping[str, str]
"""Versions of the tags of an entry. `clear` changes them, which invalidates entries that were built before."""

LEASE_SECONDS = 10
"""Seconds after which another process may take over the build of a process that has died."""
TAG_SECONDS = 2 * MAX_AGE_SECONDS
"""Time for which the version of a cleared tag is stored, which is longer than that of entries."""


class CacheEntry(NamedTuple):
    value: bytes
    built_at: float
    """Time of the build, by `clock.now`."""


class CacheLookup(NamedTuple):
    entry: CacheEntry | None
    tag_versions: TagVersions


class CacheSize(NamedTuple):
    entries: int
    bytes: int | None
    """None if unknown."""


class Store(ABC):
    """Store of cache entries. Methods do not raise if the store is unavailable; nothing is cached then."""

    name: str
    is_shared: bool
    """Whether other processes use the same store."""

    async def close(self) -> None:
        """Close connections."""

    @abstractmethod
    async def find(self, key: str, tags: Iterable[str] = ()) -> CacheLookup:
        """Return the entry, unless one of its tags or of these was cleared since, and the versions of these tags."""

    @abstractmethod
    async def save(self, key: str, entry: CacheEntry, tag_versions: TagVersions, seconds: float) -> None:
        """Save an entry. `tag_versions` are from `find` before its value was built."""

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
        """Return whether this process may build the entry, because no other process does."""
        return True

    async def release(self, _key: str) -> None:
        """Let other processes build the entry again."""


class StoredEntry(NamedTuple):
    entry: CacheEntry
    tag_versions: TagVersions
    expires_at: float
    """By `time.monotonic`."""


class MemoryStore(Store):
    """Least recently used cache of this process, limited in entries and bytes."""

    name = "memory"
    is_shared = False
    max_tags = 10_000
    """Maximum number of tags to remember. If there are more, the whole cache is cleared."""

    def __init__(self, entries: int = 10_000, size: int = 32 * 1024 * 1024) -> None:
        self._entries: OrderedDict[str, StoredEntry] = OrderedDict()
        self._tag_versions: dict[str, str] = {}
        """Version of each cleared tag: the time of the clearing, in nanoseconds of `time.monotonic_ns`."""
        self._last_version = 0
        self._max_entries = entries
        self._max_bytes = size
        self._bytes = 0

    async def find(self, key: str, tags: Iterable[str] = ()) -> CacheLookup:
        return self.find_now(key, tags)

    async def save(self, key: str, entry: CacheEntry, tag_versions: TagVersions, seconds: float) -> None:
        self.save_now(key, entry, tag_versions, seconds)

    async def drop(self, key: str) -> None:
        self._drop(key)

    async def clear(self, *tags: str) -> None:
        self.clear_now(*tags)

    async def size(self) -> CacheSize:
        for key in [*self._entries]:
            self.find_now(key)  # drops it if it has expired or was cleared
        return CacheSize(len(self._entries), self._bytes)

    def find_now(self, key: str, tags: Iterable[str] = ()) -> CacheLookup:
        stored = self._entries.get(key)
        known_tags = ALL_TAGS, *tags, *(stored.tag_versions if stored else ())
        current = {tag: self._tag_versions.get(tag, "") for tag in known_tags}
        if stored is None:
            return CacheLookup(None, current)
        if stored.tag_versions != current or stored.expires_at < time.monotonic():
            self._drop(key)
            return CacheLookup(None, current)
        self._entries.move_to_end(key)
        return CacheLookup(stored.entry, current)

    def save_now(self, key: str, entry: CacheEntry, tag_versions: TagVersions, seconds: float) -> None:
        self._drop(key)
        self._entries[key] = StoredEntry(entry, tag_versions, time.monotonic() + seconds)
        self._bytes += len(entry.value)
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    def clear_now(self, *tags: str) -> None:
        self._last_version = max(self._last_version + 1, time.monotonic_ns())
        if len(self._tag_versions) + len(tags) > self.max_tags:
            self._tag_versions = {}
            tags = (ALL_TAGS,)
        self._tag_versions |= dict.fromkeys(tags, str(self._last_version))
        if ALL_TAGS in tags:
            self._entries.clear()
            self._bytes = 0

    def was_cleared_since(self, moment: float, tags: Iterable[str]) -> bool:
        """Return whether one of the tags was cleared after a time of `time.monotonic`."""
        return any(int(self._tag_versions.get(tag) or 0) > moment * 1e9 for tag in tags)

    def _drop(self, key: str) -> None:
        if stored := self._entries.pop(key, None):
            self._bytes -= len(stored.entry.value)


class SharedStore(Store):
    """Base of stores for several processes. Each tag is a value with its version, which entries contain."""

    is_shared = True

    @abstractmethod
    async def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return the values that have not expired. None for each if the store is unavailable."""

    @abstractmethod
    async def write(self, key: str, value: bytes, seconds: float) -> None:
        """Store a value for this time."""

    async def find(self, key: str, tags: Iterable[str] = ()) -> CacheLookup:
        names = [ALL_TAGS, *tags]
        value, *versions = await self.read([key, *map(tag_key, names)])
        current = _versions_by_tag(names, versions)
        entry, saved = _parse(value)
        if entry is None:
            return CacheLookup(None, current)
        other_tags = [tag for tag in saved if tag not in current]  # `get` does not name the tags
        other_versions = await self.read([*map(tag_key, other_tags)]) if other_tags else ()
        if saved != current | _versions_by_tag(other_tags, other_versions):  # a tag was cleared
            return CacheLookup(None, current)
        return CacheLookup(entry, saved)

    async def save(self, key: str, entry: CacheEntry, tag_versions: TagVersions, seconds: float) -> None:
        head = json.dumps([entry.built_at, dict(tag_versions)]).encode()
        await self.write(key, head + b"\n" + entry.value, seconds)


def new_version() -> bytes:
    return secrets.token_hex(8).encode()


def tag_key(tag: str) -> str:
    """Return the key of a tag's version, which does not reveal the tag."""
    return f"tag:{_hash(tag)}"


def lock_key(build: str) -> str:
    """Return the key that a process holds during a build."""
    return f"lock:{_hash(build)}"


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _versions_by_tag(tags: Iterable[str], versions: Iterable[bytes | None]) -> dict[str, str]:
    return {tag: version.decode("latin-1") if version else "" for tag, version in zip(tags, versions, strict=True)}


def _parse(value: bytes | None) -> CacheLookup:
    """Return the stored entry and the versions of its tags. None if there is none, or another version wrote it."""
    head, _, body = (value or b"").partition(b"\n")
    try:
        built_at, versions = json.loads(head)
        return CacheLookup(CacheEntry(body, float(built_at)), dict(versions))
    except (ValueError, TypeError):
        return CacheLookup(None, {})
