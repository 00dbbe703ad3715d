"""Behaviour with an unavailable, slow, full or foreign Redis."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis import Redis

from opportune.testing.services.ports import free_port
from opportune.testing.services.redis import redis
from opportune.web.cache.factory import open_store
from opportune.web.cache.redis_store import KEY_PREFIX, RedisStore
from tests.opportune.web.cache.shop import Shop, get_concurrently

OpenShop = Callable[[str], Shop]
Limit = Callable[[int], None]


@pytest.fixture
async def open_shop() -> AsyncIterator[OpenShop]:
    shops: list[Shop] = []

    def open_shop(url: str) -> Shop:
        shops.append(Shop(open_store(url)))
        return shops[-1]

    yield open_shop
    for shop in shops:
        await shop.cache.close()


@pytest.fixture
async def shop(open_shop: OpenShop, redis_url: str) -> Shop:
    shop = open_shop(redis_url)
    await (await redis_of(shop)._connect()).clear()  # type: ignore[no-untyped-call]  # its types are missing
    return shop


def redis_of(shop: Shop) -> RedisStore:
    assert isinstance(shop.cache.store, RedisStore)
    return shop.cache.store


@pytest.fixture
def no_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.redis_store.RETRY_AFTER_SECONDS", 0)


async def test_unavailable_redis_is_logged_once(open_shop: OpenShop, caplog: pytest.LogCaptureFixture) -> None:
    shop = open_shop(f"redis://:secret@127.0.0.1:{free_port()}/0")
    async with shop.client() as client:
        responses = await get_concurrently(client, shop, 5)
        responses.append(await client.get("/things"))
    await shop.cache.clear("things")
    assert {response.status_code for response in responses} == {200}
    assert shop.builds == 2
    assert (await shop.cache.store.size()).entries == 0
    (line,) = [record.message for record in caplog.records if "is unavailable" in record.message]
    assert "pages are built without it" in line
    assert "secret" not in line


async def test_silent_redis_times_out(
    open_shop: OpenShop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.web.cache.redis_store.REDIS_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shop = open_shop(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        async with asyncio.timeout(60), shop.client() as client:
            assert (await client.get("/things")).status_code == 200
    assert "is unavailable (TimeoutError)" in caplog.text


@pytest.mark.usefixtures("no_retry_delay")
async def test_tags_cleared_during_outage_are_cleared_later(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with shop.client(tags=["things"]) as client:
        await client.get("/things")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(await redis_of(shop)._connect(), "put", time_out)
            await shop.cache.clear("things")
        await client.get("/things")
    assert shop.builds == 2
    assert "is available again" in caplog.text


async def time_out(*_: object, **_more: object) -> bool:
    raise TimeoutError


@pytest.mark.usefixtures("no_retry_delay")
async def test_restarted_redis_is_used_again(open_shop: OpenShop) -> None:
    port = free_port()
    with redis(port) as url:
        shop = open_shop(url)
        async with shop.client() as client:
            await client.get("/things")
    async with shop.client() as client:
        await client.get("/things")
        with redis(port):
            await client.get("/things")
            await client.get("/things")
    assert shop.builds == 3


async def test_foreign_value_is_replaced(shop: Shop) -> None:
    redis_client = await redis_of(shop)._connect()
    async with shop.client() as client:
        await client.get("/things")
        async for key in redis_client.scan(f"{KEY_PREFIX}[0-9a-f]*"):
            await redis_client.put(key, b"\x80\x04pickle", 60)
        assert (await client.get("/things")).status_code == 200
        await client.get("/things")
    assert shop.builds == 2


async def test_values_expire_and_are_not_pickles(shop: Shop) -> None:
    connection = await redis_of(shop)._connect()
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things?marker")
    keys = [key async for key in connection.scan(f"{KEY_PREFIX}*")]
    values = [await connection.get_raw(key) for key in keys if ":tag:" not in key]
    expiries = [await connection.get_expire(key) for key in keys]
    assert any(b"marker" in value for value in values)
    assert not any(b"\x80\x04" in value for value in values)
    assert all(expiry > 0 for expiry in expiries)
    assert not any(":lock:" in key for key in keys)


@pytest.fixture
def limit_memory(redis_url: str, no_retry_delay: None) -> Iterator[Limit]:
    """Function that limits the bytes of Redis, which evicts nothing; 0 for no limit."""

    def limit(byte_count: int) -> None:
        client.config_set("maxmemory", byte_count)

    with Redis.from_url(redis_url) as client:
        yield limit
        limit(0)


async def test_full_redis_serves_old_pages(shop: Shop, limit_memory: Limit, caplog: pytest.LogCaptureFixture) -> None:
    async with shop.client(query=["page"]) as client:
        await client.get("/things?page=stored")
        limit_memory(1)
        for _ in range(3):
            assert (await client.get("/things?page=new")).status_code == 200
        await client.get("/things?page=stored")
    assert shop.builds == 4
    (line,) = [record.message for record in caplog.records if "is unavailable" in record.message]
    assert line.endswith("(OutOfMemoryError): no more pages are stored")


async def test_full_redis_clears_pages(shop: Shop, open_shop: OpenShop, redis_url: str, limit_memory: Limit) -> None:
    other = open_shop(redis_url)
    async with shop.client(tags=["things"]) as client, other.client(tags=["things"]) as other_client:
        await client.get("/things")
        limit_memory(1)
        await shop.cache.clear("things")
        await other_client.get("/things")
    assert other.builds == 1
