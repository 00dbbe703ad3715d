"""Builds of cache entries: one at a time for each entry, and in the background while a stale entry is used."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from opportune.context import use_value
from opportune.db.drivers.replica import reads_fresh
from opportune.services.clock import clock
from opportune.services.tasks import cancel_and_wait
from opportune.web.cache.counts import Counts
from opportune.web.cache.store import CacheEntry, CacheLookup, Store

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_BACKGROUND_REFRESHES = 8
"""Maximum parallel builds in the background. Other entries stay stale until they are next read."""
BUILD_WAIT_SECONDS = 10.0
"""Seconds to wait for the build of another task or process before this task builds the entry itself."""
POLL_INTERVAL_SECONDS = 0.03
RETRY_AFTER_SECONDS = 1.0
"""Seconds before a failed refresh of a stale entry is tried again."""


class Built(NamedTuple):
    """Result of a build."""

    entry: CacheEntry | None
    """None if only the task that built it may use it, such as a private response."""
    is_stored: bool = True


Build = Callable[[], Awaitable[Built]]
Outcome = Built | Exception | None
"""Outcome of a build for the tasks that waited for it. None if the build was cancelled."""


@dataclass(frozen=True, slots=True)
class CacheItem:
    """Something to read from the cache, or to build."""

    key: str
    name: str
    """Name in the log."""
    tags: tuple[str, ...]
    seconds: float
    stale: float
    counts: Counts

    def is_younger(self, entry: CacheEntry, seconds: float) -> bool:
        return abs(clock.now() - entry.built_at) < seconds  # after a clock change, the age can be negative

    def is_fresh(self, entry: CacheEntry) -> bool:
        return self.is_younger(entry, self.seconds)

    def build_key(self, lookup: CacheLookup) -> str:
        """Return the key of a build. Clearing a tag changes it, so later readers do not wait for an outdated build."""
        return f"{self.key}:{':'.join(lookup.tag_versions.values())}"


class Builds:
    """Reads entries from a store, and builds those that it lacks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: dict[str, asyncio.Future[Outcome]] = {}
        """Outcomes of the builds of this process, by the key of the build."""
        self.refreshes: dict[str, asyncio.Task[None]] = {}
        """Builds in the background."""

    async def close(self) -> None:
        await cancel_and_wait(*self.refreshes.values())

    async def load(self, item: CacheItem, build: Build, refresh: Build, parse: Callable[[CacheEntry], T]) -> T | None:
        """Return the stored entry, or build it. Wait if another task or process builds it.

        Args:
            item: The entry to read.
            build: Builds the entry for the current task.
            refresh: Builds the entry in the background.
            parse: Parses the entry. Raises ValueError if another version has written it; then it is built again. If the
                other version replaces it meanwhile, as in a rolling deployment, a build is used without storing it.

        Returns:
            The parsed entry. None if only the task that built it may use it.
        """
        for _ in range(2):
            entry = await self._load_entry(item, build, refresh)
            try:
                return parse(entry) if entry else None
            except ValueError:
                await self._store.drop(item.key)
        built = await build()
        return parse(built.entry) if built.entry else None

    async def _load_entry(self, item: CacheItem, build: Build, refresh: Build) -> CacheEntry | None:
        waited_for: object = None
        while True:
            lookup = await self._look_up(item, refresh)
            if lookup.entry:
                return lookup.entry
            running = self._running.get(item.build_key(lookup))
            if running is None or running is waited_for:
                return await self._build_shared(item, lookup, build)
            await asyncio.wait({running}, timeout=BUILD_WAIT_SECONDS)
            waited_for = running
            outcome = running.result() if running.done() else None
            if isinstance(outcome, Exception):
                raise outcome
            if outcome:
                item.counts.shared += outcome.entry is not None
                return outcome.entry

    async def _look_up(self, item: CacheItem, refresh: Build) -> CacheLookup:
        """Look up an entry, without the entry if it is too old."""
        lookup = await self._store.find(item.key, item.tags)
        if lookup.entry is None or not item.is_younger(lookup.entry, item.seconds + item.stale):
            return CacheLookup(None, lookup.tag_versions)
        if item.is_fresh(lookup.entry):
            item.counts.fresh += 1
        else:
            item.counts.stale += 1
            self._start_refresh(item, lookup, refresh)
        return lookup

    async def _build_shared(self, item: CacheItem, lookup: CacheLookup, build: Build) -> CacheEntry | None:
        """Build the entry, and pass the outcome to tasks that need it during the build."""
        key = item.build_key(lookup)
        running = self._running[key] = asyncio.get_running_loop().create_future()
        outcome: Outcome = None
        try:
            if entry := await self._wait_for_claim(item, key):
                outcome = Built(entry)
            else:
                outcome = await self._build(item, lookup, build)
            return outcome.entry
        except Exception as error:
            outcome = error
            raise
        finally:
            if self._running.get(key) is running:
                del self._running[key]
            running.set_result(outcome)
            await self._store.release(key)

    async def _wait_for_claim(self, item: CacheItem, key: str) -> CacheEntry | None:
        """Wait until this process may build. Return the entry if another process has built it first."""
        deadline = time.monotonic() + BUILD_WAIT_SECONDS
        while True:
            is_claimed = await self._store.claim(key) or time.monotonic() > deadline
            entry = (await self._store.find(item.key, item.tags)).entry
            if entry and item.is_fresh(entry):
                item.counts.shared += 1
                return entry
            if is_claimed:
                return None
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def _build(self, item: CacheItem, lookup: CacheLookup, build: Build) -> Built:
        with use_value(reads_fresh, True):  # a lagging replica would be cached
            built = await build()
        item.counts.built += 1
        if built.entry and built.is_stored:
            await self._store.save(item.key, built.entry, lookup.tag_versions, item.seconds + item.stale)
        return built

    def _start_refresh(self, item: CacheItem, lookup: CacheLookup, refresh: Build) -> None:
        key = item.build_key(lookup)
        if key in self._running or key in self.refreshes or len(self.refreshes) >= MAX_BACKGROUND_REFRESHES:
            return
        task = self.refreshes[key] = asyncio.create_task(self._refresh(item, lookup, refresh))
        task.add_done_callback(lambda _: self.refreshes.pop(key))

    async def _refresh(self, item: CacheItem, lookup: CacheLookup, refresh: Build) -> None:
        async def build() -> Built:
            built = await refresh()
            if not (built.entry and built.is_stored):  # deleted or private now
                await self._store.drop(item.key)
            return built

        try:
            await self._build_shared(item, lookup, build)
        except Exception:  # the reader already has the stale entry
            logger.exception("%s: the stale entry could not be refreshed", item.name)
            await asyncio.sleep(RETRY_AFTER_SECONDS)
