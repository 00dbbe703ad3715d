"""Stores of the cache, a cached function and a clock."""

import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from opportune.contrib.database_cache.store import TableStore
from opportune.db.factory import open_database
from opportune.testing.plugin import settings_for
from opportune.web.cache import ALL_TAGS
from opportune.web.cache.factory import open_store
from opportune.web.cache.store import Store
from tests.opportune.web.cache.shop import Shop


@pytest.fixture
def cache_kind() -> str:
    """The store of tests whose result does not depend on it."""
    return "memory"


in_every_store = pytest.mark.parametrize("cache_kind", ["memory", "redis", "sqlite", "postgresql"])
in_shared_stores = pytest.mark.parametrize("cache_kind", ["redis", "sqlite", "postgresql"])
in_redis = pytest.mark.parametrize("cache_kind", ["redis"])


@pytest.fixture(autouse=True)
def _allow_slow_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the timeouts, so that a busy machine does not fall back to pages without a cache."""
    monkeypatch.setattr("opportune.web.cache.redis_store.REDIS_TIMEOUT_SECONDS", 60)
    monkeypatch.setattr("opportune.contrib.database_cache.store.WRITE_WAIT_SECONDS", 60)


@pytest.fixture
async def open_other(
    request: pytest.FixtureRequest, cache_kind: str, tmp_path: Path
) -> AsyncIterator[Callable[[], Store]]:
    """Function that opens the store as another process does."""
    with ExitStack() as stack:
        if cache_kind in ("memory", "redis"):
            url: str = request.getfixturevalue("redis_url") if cache_kind == "redis" else "memory:"
            yield lambda: open_store(url)
            return
        template: str = request.getfixturevalue(f"{'postgres' if cache_kind == 'postgresql' else 'sqlite'}_template")
        if cache_kind == "postgresql":
            server = request.getfixturevalue("postgres_server")
            url = server.create_database(name := f"test_{uuid4().hex}", template)
            stack.callback(server.drop_database, name)
        else:
            shutil.copyfile(template, tmp_path / "cache.db")
            url = f"sqlite:///{tmp_path / 'cache.db'}"
        database = open_database(settings_for(url))
        await database.setup()
        yield lambda: TableStore(database)
        await database.dispose()


@pytest.fixture
async def store(open_other: Callable[[], Store]) -> AsyncIterator[Store]:
    store = open_other()
    await store.clear(ALL_TAGS)
    yield store
    await store.close()


@pytest.fixture
async def shop(store: Store) -> AsyncIterator[Shop]:
    shop = Shop(store)
    yield shop
    await shop.cache.close()


@pytest.fixture
async def other_shop(shop: Shop, open_other: Callable[[], Store]) -> AsyncIterator[Shop]:
    """Another process with the same shared store."""
    other = Shop(open_other())
    yield other
    await other.cache.close()


class Clock:
    offset = 0.0
    """Seconds by which the clock is ahead."""

    def time(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the cache, which a test can advance."""
    clock = Clock()
    monkeypatch.setattr("opportune.services.clock.clock.now", clock.time)
    return clock
