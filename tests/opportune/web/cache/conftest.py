"""Stores of the page cache, a cached function and a clock."""

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from opportune.web.cache import ALL_TAGS
from opportune.web.cache.factory import open_store
from opportune.web.cache.store import Store
from tests.opportune.web.cache.shop import Shop


@pytest.fixture(params=["memory", "redis"])
def cache_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("redis_url") if request.param == "redis" else "memory:"
    return url


@pytest.fixture(autouse=True)
def _allow_slow_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the timeout of Redis, so that a busy machine does not fall back to pages without a cache."""
    monkeypatch.setattr("opportune.web.cache.redis_store.REDIS_TIMEOUT_SECONDS", 60)


@pytest.fixture
async def store(cache_url: str) -> AsyncIterator[Store]:
    store = open_store(cache_url)
    await store.clear(ALL_TAGS)
    yield store
    await store.close()


@pytest.fixture
async def shop(store: Store) -> AsyncIterator[Shop]:
    shop = Shop(store)
    yield shop
    await shop.cache.close()


in_memory = pytest.mark.parametrize("cache_url", ["memory"], indirect=True)
"""Marks tests whose result does not depend on the store."""


class Clock:
    offset = 0.0
    """Seconds by which the clock is ahead."""

    def time(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the cache, which a test can advance."""
    clock = Clock()
    fake = SimpleNamespace(time=clock.time, monotonic=time.monotonic)
    monkeypatch.setattr("opportune.web.cache.cache.time", fake)
    monkeypatch.setattr("opportune.web.cache.cached_response.time", fake)
    return clock
