"""Cached parts of pages."""

import asyncio
from collections.abc import Iterable

from opportune.services.clock import clock
from opportune.services.tasks import cancel_and_wait
from opportune.web.cache import store

TAG_CHECK_SECONDS = 1.0
"""Seconds between two checks for cleared tags, if no bus connects the processes."""
MAX_CHECKED_TAGS = 500
"""Number of tags above which such a check clears all parts, to read few versions."""


class PageParts:
    """Parts of pages, in the memory of this process, because templates cannot wait for a server.

    A bus clears those of other processes, or else a check in the background.

    Args:
        shared_store: Store of responses and values, whose tags are checked if there is no bus.
        max_lag_seconds: Time by which a replica may lag behind, so that a part may contain outdated data.
        has_bus: Whether a bus tells other processes which tags to clear.
    """

    def __init__(self, shared_store: store.Store, max_lag_seconds: float, *, has_bus: bool) -> None:
        self.store = shared_store if isinstance(shared_store, store.MemoryStore) else store.MemoryStore()
        self._shared_store = shared_store
        self._max_lag_seconds = max_lag_seconds
        self._checks_tags = shared_store.is_shared and not has_bus
        self._checked_tags: set[str] = set()
        """Tags of the parts, if their versions in the shared store are checked."""
        self._shared_versions: dict[str, str] = {}
        """Versions that the last check has read."""
        self._tag_check: asyncio.Task[None] | None = None

    async def close(self) -> None:
        await cancel_and_wait(self._tag_check)

    def find(self, key: str, tags: Iterable[str]) -> store.CacheLookup:
        """Look up a part. If no bus connects the processes, check their tags, at most once a second."""
        if self._checks_tags:
            self._checked_tags.update((store.ALL_TAGS, *tags))
            if self._tag_check is None or self._tag_check.done():
                self._tag_check = asyncio.create_task(self._clear_outdated())
        return self.store.find_now(key, tags)

    def save(self, key: str, html: str, tag_versions: store.TagVersions, seconds: float, started_at: float) -> None:
        """Store a part, unless one of its tags may have been cleared after the request read its data."""
        text = html.encode()
        read_at = started_at - self._max_lag_seconds
        if len(text) > store.MAX_VALUE_BYTES or self.store.was_cleared_since(read_at, tag_versions):
            return
        if self._checks_tags and not self._shared_versions.keys() >= tag_versions.keys():
            return  # the next check could not tell whether another process has cleared them
        self.store.save_now(key, store.CacheEntry(text, clock.now()), tag_versions, seconds)

    def clear(self, *tags: str) -> None:
        self.store.clear_now(*tags)

    async def _clear_outdated(self) -> None:
        """Clear the tags that another process has cleared in the shared store."""
        no_entry = await self._shared_store.find("", self._checked_tags)
        versions = dict(no_entry.tag_versions)
        cleared = [tag for tag, version in versions.items() if self._shared_versions.get(tag) != version]
        self.clear(*cleared)
        if len(versions) > MAX_CHECKED_TAGS:
            self.clear(store.ALL_TAGS)
            self._checked_tags.clear()
            versions = {store.ALL_TAGS: versions[store.ALL_TAGS]}
        self._shared_versions = versions
        await asyncio.sleep(TAG_CHECK_SECONDS)
