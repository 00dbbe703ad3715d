"""Behaviour with an unavailable, slow or foreign Redis."""

import asyncio
import socket
from collections.abc import Iterable

import pytest

from opportune.testing.services.ports import free_port
from opportune.testing.services.redis import redis
from opportune.web.cache import ALL_TAGS
from opportune.web.cache.factory import open_store
from opportune.web.cache.redis_store import KEY_PREFIX, RedisStore
from tests.opportune.web.cache.shop import Shop, get_concurrently


@pytest.fixture
def no_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.redis_store.RETRY_AFTER_SECONDS", 0)


async def test_unavailable_redis_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(open_store(f"redis://:secret@127.0.0.1:{free_port()}/0"))
    async with shop.client() as client:
        responses = await get_concurrently(client, shop, 5)
        responses.append(await client.get("/things"))
    await shop.cache.clear("things")
    size = await shop.cache.store.size()
    await shop.cache.close()

    assert {response.status_code for response in responses} == {200}
    assert shop.builds == 2
    assert size.entries == 0
    (line,) = [record.message for record in caplog.records if "is unavailable" in record.message]
    assert "pages are built without it" in line
    assert "secret" not in line


async def test_silent_redis_times_out(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.redis_store.REDIS_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shop = Shop(open_store(f"redis://127.0.0.1:{silent.getsockname()[1]}"))
        async with asyncio.timeout(60), shop.client() as client:
            assert (await client.get("/things")).status_code == 200
        await shop.cache.close()

    assert "is unavailable (TimeoutError)" in caplog.text


@pytest.mark.usefixtures("no_retry_delay")
async def test_tags_cleared_during_outage_are_cleared_later(caplog: pytest.LogCaptureFixture, redis_url: str) -> None:
    caplog.set_level("INFO")
    other, shop = open_store(redis_url), Shop(store := open_store(redis_url))
    assert isinstance(store, RedisStore)
    await other.clear(ALL_TAGS)
    async with shop.client(tags=["things"]) as client:
        await client.get("/things")
        assert store._redis
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store._redis, "put", time_out)
            await shop.cache.clear("things")
        await client.get("/things")
    assert shop.builds == 2
    assert "is available again" in caplog.text
    await other.close()
    await shop.cache.close()


async def time_out(*_: object, **_more: object) -> bool:
    raise TimeoutError


@pytest.mark.usefixtures("no_retry_delay")
async def test_restarted_redis_is_used_again() -> None:
    port = free_port()
    with redis(port) as url:
        shop = Shop(open_store(url))
        async with shop.client() as client:
            await client.get("/things")
    async with shop.client() as client:
        await client.get("/things")
        with redis(port):
            await client.get("/things")
            await client.get("/things")
    await shop.cache.close()

    assert shop.builds == 3


@pytest.mark.parametrize("text", [b"\n", b"12", b"\x80\x04pickle", b":\n[]\n"])
async def test_foreign_value_is_replaced(redis_url: str, text: bytes) -> None:
    shop = Shop(store := open_store(redis_url))
    assert isinstance(store, RedisStore)
    await store.clear(ALL_TAGS)
    async with shop.client() as client:
        await client.get("/things")
        redis_client = await store._connect()
        async for key in redis_client.scan(f"{KEY_PREFIX}[0-9a-f]*"):
            await redis_client.put(key, text, 60)
        assert (await client.get("/things")).status_code == 200
        await client.get("/things")
    await shop.cache.close()

    assert shop.builds == 2


async def test_values_expire_and_are_not_pickles(redis_url: str) -> None:
    shop = Shop(store := open_store(redis_url))
    assert isinstance(store, RedisStore)
    connection = await store._connect()
    await connection.clear()  # type: ignore[no-untyped-call]  # its types are missing
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things?marker")
    keys = [key async for key in connection.scan(f"{KEY_PREFIX}*")]
    values = [await connection.get_raw(key) for key in keys if ":tag:" not in key]
    expiries = [await connection.get_expire(key) for key in keys]
    await shop.cache.close()

    assert any(b"marker" in value for value in values)
    assert not any(b"\x80\x04" in value for value in values)
    assert all(expiry > 0 for expiry in expiries)
    assert not any(":lock:" in key for key in keys)


async def test_concurrent_lookups_share_an_mget(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(redis_url)
    assert isinstance(store, RedisStore)
    client = (await store._connect())._client
    mget, commands = client.mget, []

    async def record(names: Iterable[str]) -> list[bytes | None]:
        commands.append(set(names))
        values: list[bytes | None] = await mget(names)
        return values

    monkeypatch.setattr(client, "mget", record)
    first, *others = [asyncio.create_task(store.find(f"{number}", ("things",))) for number in range(9)]
    await asyncio.sleep(0)
    first.cancel()
    lookups = await asyncio.gather(*others)
    await store.clear("things")
    later = await store.find("1", ("things",))
    await store.close()

    assert [len(names) for names in commands] == [9 + 2, 1 + 2]  # keys and tag_versions of two tags
    assert len({str(lookup.tag_versions) for lookup in lookups}) == 1
    assert later.tag_versions != lookups[0].tag_versions
