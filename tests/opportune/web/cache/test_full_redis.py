"""Behaviour with a Redis that is full and evicts nothing."""

from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from redis import Redis

from opportune.testing.services.redis import redis
from opportune.web.cache.factory import open_store
from opportune.web.feature import REDIS_FULL_HINT, cache_lights
from tests.opportune.web.cache.shop import Shop


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("opportune.web.cache.redis_store.RETRY_AFTER_SECONDS", 0)
    with redis() as url:
        yield url


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    shop = Shop(open_store(url))
    yield shop
    await shop.cache.close()


def limit_memory(url: str, byte_count: int) -> None:
    with Redis.from_url(url) as client:
        client.config_set("maxmemory", byte_count)


async def test_full_redis_serves_stored_pages(shop: Shop, url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with shop.client(query=["page"]) as client:
        await client.get("/things?page=stored")
        limit_memory(url, 1)
        for _ in range(3):
            assert (await client.get("/things?page=new")).status_code == 200
        await client.get("/things?page=stored")
    assert shop.builds == 4
    (line,) = [record.message for record in caplog.records if "is unavailable" in record.message]
    assert line.endswith("(OutOfMemoryError): no more pages are stored")


async def test_page_cleared_in_full_redis_is_built_again(shop: Shop, url: str) -> None:
    other = Shop(open_store(url))
    async with shop.client(tags=["things"]) as client, other.client(tags=["things"]) as other_client:
        await client.get("/things")
        limit_memory(url, 1)
        await shop.cache.clear("things")
        await other_client.get("/things")
    await other.cache.close()
    assert other.builds == 1


async def test_pages_are_stored_again(shop: Shop, url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with shop.client() as client:
        limit_memory(url, 1)
        await client.get("/things")
        limit_memory(url, 0)
        await client.get("/things")
        await client.get("/things")
    assert shop.builds == 2
    assert "is available again" in caplog.text


async def test_status_page_reports_full_redis(shop: Shop, url: str) -> None:
    app = FastAPI()
    app.state.cache = shop.cache
    (light,) = await cache_lights(app)
    assert (light.state, light.words) == ("ok", "is available")
    limit_memory(url, 1)
    (light,) = await cache_lights(app)
    assert (light.state, light.words, light.hint) == ("fault", "is not available (OutOfMemoryError)", REDIS_FULL_HINT)
