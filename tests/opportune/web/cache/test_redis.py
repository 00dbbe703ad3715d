"""A Redis that is away, slow, or full of other things."""

import asyncio
import socket
from collections.abc import Iterable

import pytest

from opportune.testing.services.redis import free_port, redis
from opportune.web.cache import ALL_TAGS
from opportune.web.cache.factory import open_store
from opportune.web.cache.redis_store import KEY_PREFIX, RedisStore
from tests.opportune.web.cache.shop import Shop, ask_at_once


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.redis_store.RETRY_AFTER_SECONDS", 0)


async def test_pages_are_built_while_redis_is_down_which_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(open_store(f"redis://:secret@127.0.0.1:{free_port()}/0"))
    async with shop.client() as client:
        answers = await ask_at_once(client, shop, 5)
        answers.append(await client.get("/things"))
    await shop.cache.clear("things")
    size = await shop.cache.store.size()
    await shop.cache.close()

    assert {answer.status_code for answer in answers} == {200}
    assert shop.builds == 2
    assert size.entries == 0
    (line,) = [record.message for record in caplog.records if "does not answer" in record.message]
    assert "pages are built without it" in line
    assert "secret" not in line


async def test_a_redis_that_says_nothing_holds_nobody_up_for_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.web.cache.redis_store.REDIS_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shop = Shop(open_store(f"redis://127.0.0.1:{silent.getsockname()[1]}"))
        async with asyncio.timeout(5), shop.client() as client:
            assert (await client.get("/things")).status_code == 200
        await shop.cache.close()

    assert "does not answer (TimeoutError)" in caplog.text


@pytest.mark.usefixtures("no_pause")
async def test_what_was_cleared_while_redis_was_away_is_cleared_when_it_is_back(
    caplog: pytest.LogCaptureFixture, redis_url: str
) -> None:
    caplog.set_level("INFO")
    other, shop = open_store(redis_url), Shop(store := open_store(redis_url))
    assert isinstance(store, RedisStore)
    await other.clear(ALL_TAGS)
    async with shop.client(tags=["things"]) as client:
        await client.get("/things")
        assert store._redis
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store._redis, "put", broken)  # as if it were away
            await shop.cache.clear("things")
        await client.get("/things")
    assert shop.builds == 2
    assert "answers again" in caplog.text
    await other.close()
    await shop.cache.close()


async def broken(*_: object, **_more: object) -> bool:
    raise TimeoutError


@pytest.mark.usefixtures("no_pause")
async def test_a_redis_that_was_started_again_is_used_again() -> None:
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
async def test_what_is_not_ours_is_built_over(redis_url: str, text: bytes) -> None:
    shop = Shop(store := open_store(redis_url))
    assert isinstance(store, RedisStore)
    await store.clear(ALL_TAGS)
    async with shop.client() as client:
        await client.get("/things")
        client_of_redis = await store._opened()
        async for key in client_of_redis.scan(f"{KEY_PREFIX}[0-9a-f]*"):
            await client_of_redis.put(key, text, 60)
        assert (await client.get("/things")).status_code == 200
        await client.get("/things")
    await shop.cache.close()

    assert shop.builds == 2


async def test_what_is_kept_is_no_pickle_and_goes_by_itself(redis_url: str) -> None:
    shop = Shop(store := open_store(redis_url))
    assert isinstance(store, RedisStore)
    connection = await store._opened()
    await connection.clear()  # type: ignore[no-untyped-call]  # its types are missing
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things?what-is-kept")
    keys = [key async for key in connection.scan(f"{KEY_PREFIX}*")]
    kept = [await connection.get_raw(key) for key in keys if ":tag:" not in key]
    lives = [await connection.get_expire(key) for key in keys]
    await shop.cache.close()

    assert any(b"what-is-kept" in value for value in kept)
    assert not any(b"\x80\x04" in value for value in kept)
    assert all(life > 0 for life in lives)
    assert not any(":lock:" in key for key in keys)


async def test_those_who_ask_at_once_share_a_command(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(redis_url)
    assert isinstance(store, RedisStore)
    client = (await store._opened())._client
    mget, asked = client.mget, []

    async def recorded(names: Iterable[str]) -> list[bytes | None]:
        asked.append(set(names))
        values: list[bytes | None] = await mget(names)
        return values

    monkeypatch.setattr(client, "mget", recorded)
    first, *others = [asyncio.create_task(store.find(f"{number}", ("things",))) for number in range(9)]
    await asyncio.sleep(0)
    first.cancel()
    found = await asyncio.gather(*others)
    await store.clear("things")
    later = await store.find("1", ("things",))
    await store.close()

    assert [len(names) for names in asked] == [9 + 2, 1 + 2]  # the keys, and the marks of two tags
    assert len({each.marks for each in found}) == 1
    assert later.marks != found[0].marks
