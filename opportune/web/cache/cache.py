"""Cache of values. `ResponseCache` adds the responses of routes."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from hashlib import blake2b
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.bus import Bus, MemoryBus
from opportune.db.database import Database
from opportune.db.sessions.session import after_commit
from opportune.services.clock import clock
from opportune.web.cache.builds import Builds, Built, CacheItem
from opportune.web.cache.counts import Counts
from opportune.web.cache.page_parts import PageParts
from opportune.web.cache.rule import check_seconds, tag_tuple
from opportune.web.cache.store import ALL_TAGS, MAX_VALUE_BYTES, CacheEntry, Store
from opportune.web.cache.values import dumps, loads

BUS_TOPIC = "cache"
MAX_WARNINGS = 100
"""Warnings of a process about entries that are not cached, one for each name."""

logger = logging.getLogger(__name__)


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
        self.builds = Builds(store)
        self._value_counts = Counts()
        self._warned_names: set[str] = set()

    @property
    def reaches_other_processes(self) -> bool:
        """Whether `clear` clears the entries of other processes."""
        return self.store.is_shared or self._bus.is_shared

    async def close(self) -> None:
        await self.builds.close()
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
        """Store a value. One that is too large only removes the previous value.

        Use `get_or_set` for values that others may clear while you compute them.

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
        await _run(partial(self._save, item, dumps(value)), session)

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
            return Built(CacheEntry(text, clock.now()), self._fits(item, text))

        return await self.builds.load(item, build_value, build_value, lambda entry: loads(entry.value))

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

    def warn_once(self, name: str, reason: str) -> None:
        if name not in self._warned_names and len(self._warned_names) < MAX_WARNINGS:
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
        if not self._fits(item, text):
            await self.store.drop(item.key)
            return
        lookup = await self.store.find(item.key, item.tags)
        await self.store.save(item.key, CacheEntry(text, clock.now()), lookup.tag_versions, item.seconds)


async def _run(change: Callable[[], Awaitable[None]], session: AsyncSession | None) -> None:
    """Make a change now, or when the session commits."""
    if session is None:
        await change()
    else:
        after_commit(session, change)
