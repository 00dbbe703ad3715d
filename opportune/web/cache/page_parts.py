"""Cached parts of pages, in the memory of this process, because templates cannot wait for a server."""

import asyncio
import time
from collections.abc import Iterable

from opportune.services.tasks import cancel_and_wait
from opportune.web.cache.store import (
    ALL_TAGS,
    MAX_VALUE_BYTES,
    CacheEntry,
    CacheLookup,
    MemoryStore,
    Store,
    TagVersions,
)

TAG_CHECK_SECONDS = 1.0
"""Seconds between two checks for cleared tags, if no bus connects the processes."""
MAX_CHECKED_TAGS = 500
"""Number of tags above which such a check clears all parts, to read few versions."""


class PageParts:
    """Parts of pages. A bus clears those of other processes, or else a check in the background.

    Args:
        shared_store: Store of responses and values, whose tags are checked if there is no bus.
        max_lag_seconds: Time by which a replica may lag behind, so that a part may contain outdated data.
        has_bus: Whether a bus tells other processes which tags to clear.
    """

    def __init__(self, shared_store: Store, max_lag_seconds: float, *, has_bus: bool) -> None:
        self.store = shared_store if isinstance(shared_store, MemoryStore) else MemoryStore()
        self._shared_store = shared_store
        self._max_lag_seconds = max_lag_seconds
        self._checks_tags = shared_store.is_shared and not has_bus
        self._tag_versions: dict[str, str | None] = {}
        """Versions of the tags in the shared store, if they are checked. None if not yet read."""
        self._tag_check: asyncio.Task[None] | None = None

    async def close(self) -> None:
        await cancel_and_wait(self._tag_check)

    def find(self, key: str, tags: Iterable[str]) -> CacheLookup:
        """Look up a part. If no bus connects the processes, check their tags, at most once a second."""
        if self._checks_tags:
            for tag in (ALL_TAGS, *tags):
                self._tag_versions.setdefault(tag)
            if self._tag_check is None or self._tag_check.done():
                self._tag_check = asyncio.create_task(self._check_tags())
        return self.store.find_now(key, tags)

    def save(self, key: str, html: str, tag_versions: TagVersions, seconds: float, started_at: float) -> None:
        """Store a part, unless one of its tags may have been cleared after the request read its data."""
        text = html.encode()
        is_current = not self.store.was_cleared_since(started_at - self._max_lag_seconds, tag_versions)
        is_known = all(self._tag_versions.get(tag, "") is not None for tag in tag_versions)
        if is_current and is_known and len(text) <= MAX_VALUE_BYTES:
            self.store.save_now(key, CacheEntry(text, time.time()), tag_versions, seconds)

    def clear(self, *tags: str) -> None:
        self.store.clear_now(*tags)

    async def _check_tags(self) -> None:
        """Clear the tags that another process has cleared in the shared store."""
        versions = (await self._shared_store.find("", self._tag_versions)).tag_versions
        self.clear(*(tag for tag, version in versions.items() if self._tag_versions.get(tag) != version))
        if len(versions) > MAX_CHECKED_TAGS:
            self.clear(ALL_TAGS)
            self._tag_versions = {ALL_TAGS: versions[ALL_TAGS]}
        else:
            self._tag_versions |= versions
        await asyncio.sleep(TAG_CHECK_SECONDS)
