"""Base of stores that processes share. Each tag is a value with its version, which entries contain."""

import json
import secrets
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from opportune.web.cache.rule import MAX_AGE_SECONDS
from opportune.web.cache.store import ALL_TAGS, CacheEntry, CacheLookup, Store, TagVersions

LEASE_SECONDS = 10
"""Seconds after which another process may take over the build of a process that has died."""
TAG_SECONDS = 2 * MAX_AGE_SECONDS
"""Time for which the version of a cleared tag is stored, which is longer than that of entries."""


class SharedStore(Store):
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


def _parse(value: bytes | None) -> tuple[CacheEntry | None, dict[str, Any]]:
    """Return the stored entry and the versions of its tags. None if there is none, or another version wrote it."""
    head, _, body = (value or b"").partition(b"\n")
    try:
        built_at, versions = json.loads(head)
        return CacheEntry(body, float(built_at)), dict(versions)
    except (ValueError, TypeError):
        return None, {}
