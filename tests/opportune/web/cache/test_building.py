"""Shared builds of concurrent requests, and refreshes of stale responses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from opportune.web.cache.store import Store
from tests.opportune.web.cache.conftest import Clock, in_every_store, in_memory, in_shared_stores
from tests.opportune.web.cache.shop import Shop, get_concurrently, wait_until


async def test_concurrent_requests_share_a_build(shop: Shop) -> None:
    async with shop.client() as client:
        responses = await get_concurrently(client, shop, 100)

    assert {response.status_code for response in responses} == {200}
    assert shop.builds == 1
    assert shop.route.counts.shared == 99


@in_shared_stores
async def test_two_processes_share_a_build(open_other: Callable[[], Store]) -> None:
    shops = [Shop(open_other()) for _ in range(2)]
    await shops[0].cache.clear("*")
    shops[0].may_finish.clear()
    shops[1].may_finish = shops[0].may_finish
    async with shops[0].client() as one, shops[1].client() as two:
        requests = asyncio.gather(*(client.get("/things") for client in (one, two) * 20))
        await wait_until(lambda: all(shop.cache.lookups == 20 for shop in shops))
        shops[0].may_finish.set()
        responses = await requests

    assert {response.status_code for response in responses} == {200}
    assert shops[0].builds + shops[1].builds == 1
    for shop in shops:
        await shop.cache.close()


@in_shared_stores
async def test_process_builds_after_waiting_too_long(
    open_other: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.web.cache.cache.BUILD_WAIT_SECONDS", 0.05)
    dead_process, shop = open_other(), Shop(open_other())
    await shop.cache.clear("*")

    async def refuse_claim(build: str) -> bool:
        await dead_process.claim(build)
        return False

    monkeypatch.setattr(shop.cache.store, "claim", refuse_claim)
    async with shop.client() as client:
        assert (await client.get("/things")).status_code == 200

    assert shop.builds == 1
    await dead_process.close()
    await shop.cache.close()


async def test_waiting_requests_share_an_exception(shop: Shop) -> None:
    shop.error = RuntimeError("a bug")
    async with shop.client() as client:
        responses = await get_concurrently(client, shop, 20)
        assert {response.status_code for response in responses} == {500}
        assert shop.builds == 1
        shop.error = None
        assert (await client.get("/things")).status_code == 200


@in_memory
async def test_waiting_requests_share_an_http_error(shop: Shop) -> None:
    shop.status = 404
    async with shop.client() as client:
        responses = await get_concurrently(client, shop, 20)

    assert {response.status_code for response in responses} == {404}
    assert shop.builds == 1


async def test_cancelled_build_is_taken_over(shop: Shop) -> None:
    async with shop.client() as client:
        shop.may_finish.clear()
        first = asyncio.create_task(client.get("/things"))
        await wait_until(lambda: shop.builds == 1)
        waiting = [asyncio.create_task(client.get("/things")) for _ in range(5)]
        await wait_until(lambda: shop.cache.lookups == 6)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        await wait_until(lambda: shop.builds == 2)
        shop.may_finish.set()
        responses = await asyncio.gather(*waiting)

    assert {response.status_code for response in responses} == {200}
    assert shop.builds == 2


@in_memory
async def test_cancelled_request_does_not_cancel_build(shop: Shop) -> None:
    async with shop.client() as client:
        shop.may_finish.clear()
        first = asyncio.create_task(client.get("/things"))
        await wait_until(lambda: shop.builds == 1)
        second = asyncio.create_task(client.get("/things"))
        await wait_until(lambda: shop.cache.lookups == 2)
        second.cancel()
        with suppress(asyncio.CancelledError):
            await second
        shop.may_finish.set()

        assert (await first).status_code == 200


@in_memory
async def test_private_response_is_not_shared(shop: Shop) -> None:
    shop.headers = {"set-cookie": "basket=1"}
    async with shop.client() as client:
        await get_concurrently(client, shop, 5)

    assert shop.builds == 5


async def test_stale_response_is_refreshed_once(shop: Shop, clock: Clock) -> None:
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things")
        clock.offset, shop.text = 100, "second"
        shop.may_finish.clear()
        stale = [await client.get("/things") for _ in range(10)]
        await wait_until(lambda: shop.builds == 2)
        shop.may_finish.set()
        await wait_until(lambda: not shop.cache._refreshes)
        fresh = await client.get("/things")

    assert all(response.text.startswith("first") for response in stale)
    assert all(int(response.headers["age"]) >= 100 for response in stale)
    assert fresh.text.startswith("second")
    assert (shop.builds, shop.route.counts.stale) == (2, 10)


@in_memory
async def test_expired_response_is_rebuilt_before_sending(shop: Shop, clock: Clock) -> None:
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things")
        clock.offset, shop.text = 361, "second"
        response = await client.get("/things")

    assert response.text.startswith("second")


@in_memory
async def test_stale_response_survives_failed_refresh(
    shop: Shop, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with shop.client(stale=300) as client:
        await client.get("/things")
        clock.offset, shop.error = 100, RuntimeError("a bug")
        responses = [await client.get("/things")]
        await wait_until(lambda: "could not be refreshed" in caplog.text)
        responses += [await client.get("/things") for _ in range(5)]

    assert {response.status_code for response in responses} == {200}
    assert shop.builds == 2


@in_memory
async def test_deleted_page_is_dropped_by_refresh(shop: Shop, clock: Clock) -> None:
    async with shop.client(stale=300) as client:
        await client.get("/things")
        clock.offset, shop.status = 100, 404
        assert (await client.get("/things")).status_code == 200
        await wait_until(lambda: shop.builds == 2 and not shop.cache._refreshes)
        assert (await client.get("/things")).status_code == 404


@in_memory
async def test_refreshes_are_limited_and_cancelled_on_close(
    shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.web.cache.cache.MAX_BACKGROUND_REFRESHES", 2)
    async with shop.client(stale=300) as client:
        for number in range(4):
            await client.get(f"/things?n={number}")
        clock.offset = 100
        shop.may_finish.clear()
        for number in range(4):
            assert (await client.get(f"/things?n={number}")).status_code == 200
        tasks = [*shop.cache._refreshes.values()]
        await shop.cache.close()

    assert len(tasks) == 2
    assert all(task.cancelled() for task in tasks)


@pytest.fixture
async def second_shop(store: Store, open_other: Callable[[], Store]) -> AsyncIterator[Shop]:
    """A second process with the same cache."""
    shop = Shop(open_other() if store.is_shared else store)
    yield shop
    await shop.cache.close()


@in_every_store
async def test_second_process_uses_stored_response(shop: Shop, second_shop: Shop) -> None:
    async with shop.client() as client, second_shop.client() as second_client:
        first = await client.get("/things")
        second = await second_client.get("/things")

    assert first.text == second.text
    assert (shop.builds, second_shop.builds) == (1, 0)
