"""Clearing of tags, limits of the store in memory, and the setting CACHE_URL."""

import asyncio
from pathlib import Path

import pytest

from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.services import Services
from opportune.testing.plugin import settings_for
from opportune.web.cache import open_cache
from opportune.web.cache.factory import open_store
from opportune.web.cache.store import ALL_TAGS, CacheEntry, MemoryStore
from tests.opportune.waiting import wait_until
from tests.opportune.web.cache.conftest import Clock, in_redis, in_shared_stores
from tests.opportune.web.cache.shop import Shop


async def test_cleared_tag_rebuilds_its_pages(shop: Shop) -> None:
    async with shop.client("/events/{event_id}", tags=["events", "event:{event_id}"]) as client:
        for tags, builds in ((), 2), (("event:1",), 3), (("events", "other"), 5), (("other",), 5), ((ALL_TAGS,), 7):
            await shop.cache.clear(*tags)
            for path in ("/events/1", "/events/2"):
                await client.get(path)
            assert shop.builds == builds, tags


async def test_cleared_response_is_not_served_stale(shop: Shop, clock: Clock) -> None:
    async with shop.client(stale=300, tags=["things"]) as client:
        await client.get("/things")
        clock.offset, shop.text = 100, "second"
        await shop.cache.clear("things")
        assert (await client.get("/things")).text.startswith("second")


@in_redis
async def test_build_started_before_clearing_is_discarded(shop: Shop) -> None:
    async with shop.client(tags=["things"]) as client:
        shop.may_finish.clear()
        earlier_request = asyncio.create_task(client.get("/things"))
        await wait_until(lambda: shop.builds == 1)
        earlier_may_finish, shop.may_finish = shop.may_finish, asyncio.Event()
        shop.may_finish.set()
        shop.text = "second"
        await shop.cache.clear("things")
        assert (await client.get("/things")).text.startswith("second")
        earlier_may_finish.set()
        assert (await earlier_request).text.startswith("first")
        assert (await client.get("/things")).text.startswith("second")


@in_shared_stores
async def test_processes_share_responses_and_clearing(shop: Shop, other_shop: Shop) -> None:
    async with shop.client(tags=["things"]) as client, other_shop.client(tags=["things"]) as other_client:
        await client.get("/things")
        await other_client.get("/things")
        assert (shop.builds, other_shop.builds) == (1, 0)
        await other_shop.cache.clear("things")
        await client.get("/things")
    assert (shop.builds, other_shop.builds) == (2, 0)


async def save(store: MemoryStore, key: str, byte_count: int) -> None:
    await store.save(key, CacheEntry(b"x" * byte_count, 0), {ALL_TAGS: ""}, 60)


async def test_memory_evicts_least_recently_used() -> None:
    store = MemoryStore(entries=3)
    for key in "abc":
        await save(store, key, 10)
    assert (await store.find("a")).entry  # "b" is now the least recently used
    await save(store, "d", 10)
    assert [key for key in "abcd" if (await store.find(key)).entry] == ["a", "c", "d"]


async def test_memory_is_limited_in_bytes() -> None:
    store = MemoryStore(size=1000)
    await save(store, "a", 10)
    await save(store, "b", 990)
    assert (await store.size()).bytes == 1000
    await save(store, "c", 1)
    assert (await store.size()).bytes == 991
    await save(store, "d", 1001)
    assert (await store.size()).bytes == 0


async def test_versions_of_cleared_tags_are_limited() -> None:
    store = MemoryStore()
    store.max_tags = 5
    before = await store.find("a", ("tag:0",))
    for number in range(20):
        await store.clear(f"tag:{number}")
        assert len(store._tag_versions) <= 5
    await store.save("a", CacheEntry(b"", 0), before.tag_versions, 60)
    assert (await store.find("a", ("tag:0",))).entry is None


def test_invalid_cache_url_is_refused_without_secret() -> None:
    urls = "redis: redis:// redis://host:0 redis://:secret@host:99999 redis://host/secret redis://host?secret=1"
    for url in (*urls.split(), "redis://[secret", "http://secret/", "memory:secret"):
        with pytest.raises(OperatorError, match=r"^CACHE_URL must be memory:, database: or redis://[^\n]*$") as error:
            open_store(url)
        assert "secret" not in str(error.value), url


async def test_cache_is_disabled_in_development(tmp_path: Path) -> None:
    settings = settings_for(f"sqlite:///{tmp_path / 'a.db'}").model_copy(update={"environment": "development"})
    database = open_database(settings)
    assert open_cache(Services(settings=settings, database=database)).is_enabled is False
    await database.dispose()
