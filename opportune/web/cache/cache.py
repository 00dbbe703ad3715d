"""Cache of values: one build at a time for each entry, and stale entries while a new one is built.

`ResponseCache` adds the responses of routes, and `PageParts` stores parts of pages.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.bus import Bus, MemoryBus
from opportune.db.database import Database, after_commit
from opportune.db.drivers.replica import reads_fresh
from opportune.services.tasks import cancel_and_wait
from opportune.web.cache.page_parts import PageParts
from opportune.web.cache.rule import Counts, check_seconds, tag_tuple
from opportune.web.cache.store import ALL_TAGS, MAX_VALUE_BYTES, CacheEntry, CacheLookup, Store
from opportune.web.cache.values import dumps, loads

BUS_TOPIC = "cache"

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
        return abs(time.time() - entry.built_at) < seconds  # after a clock change, the age can be negative

    def is_fresh(self, entry: CacheEntry) -> bool:
        return self.is_younger(entry, self.seconds)

    def build_key(self, lookup: CacheLookup) -> str:
        """Return the key of a build. Clearing a tag changes it, so later readers do not wait for an outdated build."""
        return f"{self.key}:{':'.join(lookup.tag_versions.values())}"


class Cache:
    """The cache of a site. Routes get it as `SiteCache`, and jobs as `run.service(Cache)`.

    Args:
        store: Store of responses and values.
        database: Opens the sessions of `get_or_set`. Its bus tells other processes which tags to clear.
        secret: Part of the keys, because several sites may share a Redis.
        is_enabled: False builds every response and part again.
    """

    def __init__(
        self, store: Store, database: Database | None = None, *, secret: str = "", is_enabled: bool = True
    ) -> None:
        self.store = store
        self.is_enabled = is_enabled
        self._database = database
        self._secret = secret.encode()[:64]
        self._bus: Bus = database.bus if database else MemoryBus()
        replicas = database.replicas.members if database else ()
        max_lag_seconds = max((replica.max_lag_seconds for replica in replicas), default=0.0)
        self.parts = PageParts(store, max_lag_seconds, has_bus=self._bus.is_shared)
        self._bus.subscribe(BUS_TOPIC, self._clear_as_elsewhere)
        self._builds: dict[str, asyncio.Future[Outcome]] = {}
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._value_counts = Counts()
        self._warned_names: set[str] = set()

    @property
    def reaches_other_processes(self) -> bool:
        """Whether `clear` clears the entries of other processes."""
        return self.store.is_shared or self._bus.is_shared

    async def close(self) -> None:
        await cancel_and_wait(*self._refreshes.values())
        await self.parts.close()
        await self.store.close()

    async def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default if there is none."""
        entry = (await self.store.find(self.key("value", key))).entry
        try:
            return loads(entry.value) if entry else default
        except ValueError:  # written by another version
            return default

    async def set(
        self, key: str, value: Any, seconds: float, *, tags: Iterable[str] = (), session: AsyncSession | None = None
    ) -> None:
        """Store a value. Use `get_or_set` for values that others may clear while you compute them.

        Args:
            key: Any text. Include everything that the value depends on, such as the user's id.
            value: Data. Rows and Pydantic models are stored as dicts.
            seconds: Lifetime.
            tags: Names with which `clear_cache` removes the value.
            session: Store the value when this session commits, because it depends on its changes.

        Raises:
            TypeError: The cache does not store values of this type.
        """
        item = self._value_item(key, seconds, tags)
        if self._fits(item, text := dumps(value)):
            await _run(partial(self._save, item, text), session)

    async def delete(self, key: str, *, session: AsyncSession | None = None) -> None:
        """Remove a value. With a session, remove it when the session commits."""
        await _run(partial(self.store.drop, self.key("value", key)), session)

    async def get_or_set(
        self,
        key: str,
        build: Callable[[AsyncSession], Awaitable[Any]],
        seconds: float,
        *,
        stale: float = 0,
        tags: Iterable[str] = (),
    ) -> Any:
        """Return the value of a key. If there is none, build it, once for all tasks that need it.

        A hit and a miss return equal data: rows are dicts in both cases.

        Args:
            key: Any text. Include everything that the value depends on, such as the user's id.
            build: Async function that returns the value. It gets a session that reads from the primary database.
            seconds: Time for which the value is fresh.
            stale: Further seconds in which the old value is returned while a new one is built in the background.
            tags: Names with which `clear_cache` removes the value, even if it is being built.
        """
        item = self._value_item(key, seconds, tags, stale)

        async def build_value() -> Built:
            assert self._database
            async with self._database.reader(fresh=True) as session:
                text = dumps(await build(session))
            return Built(CacheEntry(text, time.time()), self._fits(item, text))

        return await self.load(item, build_value, build_value, lambda entry: loads(entry.value))

    async def clear(self, *tags: str) -> None:
        """Remove the responses, values and parts with one of these tags, in all processes."""
        self.parts.clear(*tags)
        if self.store is not self.parts.store:
            await self.store.clear(*tags)
        self._bus.publish(BUS_TOPIC, json.dumps(tags))

    def _clear_as_elsewhere(self, payload: str | None) -> None:
        """Clear the tags that another process has cleared, or all entries if messages may have been lost."""
        tags = (ALL_TAGS,) if payload is None else json.loads(payload)
        if isinstance(tags, list | tuple) and all(isinstance(tag, str) for tag in tags):
            self.parts.clear(*tags)

    def key(self, *parts: object) -> str:
        """Return the key of an entry: a hash of everything that it depends on."""
        return blake2b(repr(parts).encode(), digest_size=16, key=self._secret).hexdigest()

    async def load(self, item: CacheItem, build: Build, refresh: Build, parse: Callable[[CacheEntry], T]) -> T | None:
        """Return the stored entry, or build it. Wait if another task or process builds it.

        Args:
            item: The entry to read.
            build: Builds the entry for the current task.
            refresh: Builds the entry in the background.
            parse: Parses the entry. Raises ValueError if another version has written it.

        Returns:
            The parsed entry. None if only the task that built it may use it.
        """
        while True:
            entry = await self._load_entry(item, build, refresh)
            try:
                return parse(entry) if entry else None
            except ValueError:
                await self.store.drop(item.key)

    async def _load_entry(self, item: CacheItem, build: Build, refresh: Build) -> CacheEntry | None:
        waited_for: object = None
        while True:
            lookup = await self._look_up(item, refresh)
            if lookup.entry:
                return lookup.entry
            running = self._builds.get(item.build_key(lookup))
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
        lookup = await self.store.find(item.key, item.tags)
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
        running = self._builds[key] = asyncio.get_running_loop().create_future()
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
            if self._builds.get(key) is running:
                del self._builds[key]
            running.set_result(outcome)
            await self.store.release(key)

    async def _wait_for_claim(self, item: CacheItem, key: str) -> CacheEntry | None:
        """Wait until this process may build. Return the entry if another process has built it first."""
        deadline = time.monotonic() + BUILD_WAIT_SECONDS
        while True:
            is_claimed = await self.store.claim(key) or time.monotonic() > deadline
            entry = (await self.store.find(item.key, item.tags)).entry
            if entry and item.is_fresh(entry):
                item.counts.shared += 1
                return entry
            if is_claimed:
                return None
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def _build(self, item: CacheItem, lookup: CacheLookup, build: Build) -> Built:
        token = reads_fresh.set(True)  # a lagging replica would be cached
        try:
            built = await build()
        finally:
            reads_fresh.reset(token)
        item.counts.built += 1
        if built.entry and built.is_stored:
            await self.store.save(item.key, built.entry, lookup.tag_versions, item.seconds + item.stale)
        return built

    def _start_refresh(self, item: CacheItem, lookup: CacheLookup, refresh: Build) -> None:
        key = item.build_key(lookup)
        if key in self._builds or key in self._refreshes or len(self._refreshes) >= MAX_BACKGROUND_REFRESHES:
            return
        task = self._refreshes[key] = asyncio.create_task(self._refresh(item, lookup, refresh))
        task.add_done_callback(lambda _: self._refreshes.pop(key))

    async def _refresh(self, item: CacheItem, lookup: CacheLookup, refresh: Build) -> None:
        async def build() -> Built:
            built = await refresh()
            if not (built.entry and built.is_stored):  # deleted or private now
                await self.store.drop(item.key)
            return built

        try:
            await self._build_shared(item, lookup, build)
        except Exception:  # the reader already has the stale entry
            logger.exception("%s: the stale entry could not be refreshed", item.name)
            await asyncio.sleep(RETRY_AFTER_SECONDS)

    def warn_once(self, name: str, reason: str) -> None:
        if name not in self._warned_names:
            self._warned_names.add(name)
            logger.warning("%s is not cached: %s", name, reason)

    def _value_item(self, key: str, seconds: float, tags: Iterable[str], stale: float = 0) -> CacheItem:
        check_seconds(seconds, stale)
        name = f"The value {key[:80]!r}"
        return CacheItem(self.key("value", key), name, tag_tuple(tags), seconds, stale, self._value_counts)

    def _fits(self, item: CacheItem, text: bytes) -> bool:
        if len(text) > MAX_VALUE_BYTES:
            self.warn_once(item.name, f"it has {len(text)} bytes, and at most {MAX_VALUE_BYTES} are stored")
        return len(text) <= MAX_VALUE_BYTES

    async def _save(self, item: CacheItem, text: bytes) -> None:
        lookup = await self.store.find(item.key, item.tags)
        await self.store.save(item.key, CacheEntry(text, time.time()), lookup.tag_versions, item.seconds)


async def _run(change: Callable[[], Awaitable[None]], session: AsyncSession | None) -> None:
    """Make a change now, or when the session commits."""
    if session is None:
        await change()
    else:
        after_commit(session, change)
