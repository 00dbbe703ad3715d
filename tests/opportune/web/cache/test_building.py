"""One build for all who ask at once, old answers while a new one is built, and what happens when that fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from opportune.web.cache.factory import open_store
from opportune.web.cache.store import Store
from tests.opportune.web.cache.conftest import Clock, in_memory
from tests.opportune.web.cache.shop import Shop, ask_at_once, until


async def test_a_hundred_who_ask_at_once_are_one_build(shop: Shop) -> None:
    async with shop.client() as client:
        answers = await ask_at_once(client, shop, 100)

    assert {answer.status_code for answer in answers} == {200}
    assert shop.builds == 1
    assert shop.route.counts.shared == 99


async def test_two_processes_build_once_between_them(redis_url: str) -> None:
    shops = [Shop(open_store(redis_url)) for _ in range(2)]
    await shops[0].cache.clear("*")
    shops[0].open.clear()
    shops[1].open = shops[0].open
    async with shops[0].client() as one, shops[1].client() as two:
        asking = asyncio.gather(*(client.get("/things") for client in (one, two) * 20))
        await until(lambda: all(shop.cache.looked == 20 for shop in shops))
        shops[0].open.set()
        answers = await asking

    assert {answer.status_code for answer in answers} == {200}
    assert shops[0].builds + shops[1].builds == 1
    for shop in shops:
        await shop.cache.close()


async def test_a_process_that_waits_in_vain_builds_by_itself(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.cache.BUILD_WAIT_SECONDS", 0.05)
    dead, shop = open_store(redis_url), Shop(open_store(redis_url))
    await shop.cache.clear("*")

    async def refused(work: str) -> bool:
        await dead.claim(work)
        return False

    monkeypatch.setattr(shop.cache.store, "claim", refused)
    async with shop.client() as client:
        assert (await client.get("/things")).status_code == 200

    assert shop.builds == 1
    await dead.close()
    await shop.cache.close()


async def test_a_crash_is_everybodys_who_waited_and_the_next_one_tries_again(shop: Shop) -> None:
    shop.fault = RuntimeError("a bug")
    async with shop.client() as client:
        answers = await ask_at_once(client, shop, 20)
        assert {answer.status_code for answer in answers} == {500}
        assert shop.builds == 1
        shop.fault = None
        assert (await client.get("/things")).status_code == 200


@in_memory
async def test_an_error_is_everybodys_who_waited(shop: Shop) -> None:
    shop.status = 404
    async with shop.client() as client:
        answers = await ask_at_once(client, shop, 20)

    assert {answer.status_code for answer in answers} == {404}
    assert shop.builds == 1


async def test_a_builder_that_is_cancelled_lets_another_build(shop: Shop) -> None:
    async with shop.client() as client:
        shop.open.clear()
        first = asyncio.create_task(client.get("/things"))
        await until(lambda: shop.builds == 1)
        others = [asyncio.create_task(client.get("/things")) for _ in range(5)]
        await until(lambda: shop.cache.looked == 6)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        await until(lambda: shop.builds == 2)
        shop.open.set()
        answers = await asyncio.gather(*others)

    assert {answer.status_code for answer in answers} == {200}
    assert shop.builds == 2


@in_memory
async def test_one_who_waits_and_leaves_takes_nothing_from_the_others(shop: Shop) -> None:
    async with shop.client() as client:
        shop.open.clear()
        first = asyncio.create_task(client.get("/things"))
        await until(lambda: shop.builds == 1)
        second = asyncio.create_task(client.get("/things"))
        await until(lambda: shop.cache.looked == 2)
        second.cancel()
        with suppress(asyncio.CancelledError):
            await second
        shop.open.set()

        assert (await first).status_code == 200


@in_memory
async def test_a_private_answer_is_not_shared_with_those_who_waited(shop: Shop) -> None:
    shop.headers = {"set-cookie": "basket=1"}
    async with shop.client() as client:
        await ask_at_once(client, shop, 5)

    assert shop.builds == 5


async def test_a_stale_answer_is_given_at_once_and_built_anew_once(shop: Shop, clock: Clock) -> None:
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things")
        clock.late, shop.text = 100, "second"
        shop.open.clear()
        stale = [await client.get("/things") for _ in range(10)]
        await until(lambda: shop.builds == 2)
        shop.open.set()
        await until(lambda: not shop.cache._refreshes)
        fresh = await client.get("/things")

    assert all(answer.text.startswith("first") for answer in stale)
    assert all(int(answer.headers["age"]) >= 100 for answer in stale)
    assert fresh.text.startswith("second")
    assert (shop.builds, shop.route.counts.stale) == (2, 10)


@in_memory
async def test_an_answer_past_its_time_is_built_before_it_is_given(shop: Shop, clock: Clock) -> None:
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things")
        clock.late, shop.text = 361, "second"
        answer = await client.get("/things")

    assert answer.text.startswith("second")


@in_memory
async def test_a_stale_answer_stays_while_it_cannot_be_built_anew(
    shop: Shop, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with shop.client(stale=300) as client:
        await client.get("/things")
        clock.late, shop.fault = 100, RuntimeError("a bug")
        answers = [await client.get("/things")]
        await until(lambda: "could not be built anew" in caplog.text)
        answers += [await client.get("/things") for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert shop.builds == 2  # not again at once


@in_memory
async def test_what_is_gone_when_it_is_built_anew_is_kept_no_longer(shop: Shop, clock: Clock) -> None:
    async with shop.client(stale=300) as client:
        await client.get("/things")
        clock.late, shop.status = 100, 404
        assert (await client.get("/things")).status_code == 200
        await until(lambda: shop.builds == 2 and not shop.cache._refreshes)
        assert (await client.get("/things")).status_code == 404


@in_memory
async def test_background_work_has_a_bound_and_ends_with_the_site(
    shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.web.cache.cache.MAX_BACKGROUND_REFRESHES", 2)
    async with shop.client(stale=300) as client:
        for number in range(4):
            await client.get(f"/things?n={number}")
        clock.late = 100
        shop.open.clear()
        for number in range(4):
            assert (await client.get(f"/things?n={number}")).status_code == 200
        tasks = [*shop.cache._refreshes.values()]
        await shop.cache.close()

    assert len(tasks) == 2
    assert all(task.cancelled() for task in tasks)


@pytest.fixture
async def other(store: Store, cache_url: str) -> AsyncIterator[Shop]:
    """Another process with the same cache, or one like it."""
    shop = Shop(open_store(cache_url) if store.is_shared else store)
    yield shop
    await shop.cache.close()


async def test_what_one_process_has_built_another_gives(shop: Shop, other: Shop) -> None:
    async with shop.client() as one, other.client() as two:
        first = await one.get("/things")
        second = await two.get("/things")

    assert first.text == second.text
    assert (shop.builds, other.builds) == (1, 0)
