"""Shared builds of concurrent requests, and refreshes of stale responses."""

import asyncio

import pytest

from opportune.services.tasks import cancel_and_wait
from tests.opportune.waiting import wait_until
from tests.opportune.web.cache.conftest import Clock, in_redis, in_shared_stores
from tests.opportune.web.cache.shop import Shop, get_concurrently


async def test_concurrent_requests_share_a_build(shop: Shop) -> None:
    async with shop.client() as client:
        responses = await get_concurrently(client, shop, 100)
    assert {response.status_code for response in responses} == {200}
    assert shop.builds == 1
    assert shop.route.counts.shared == 99


@in_shared_stores
async def test_two_processes_share_a_build(shop: Shop, other_shop: Shop) -> None:
    shop.may_finish.clear()
    other_shop.may_finish = shop.may_finish
    async with shop.client() as one, other_shop.client() as two:
        requests = asyncio.gather(*(client.get("/things") for client in (one, two) * 20))
        await wait_until(lambda: shop.counted.lookups == other_shop.counted.lookups == 20)
        shop.may_finish.set()
        responses = await requests
    assert {response.status_code for response in responses} == {200}
    assert shop.builds + other_shop.builds == 1


@in_redis
async def test_process_builds_after_a_long_wait(shop: Shop, other_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.builds.BUILD_WAIT_SECONDS", 0.05)
    dead_process = other_shop.cache.store

    async def refuse_claim(build: str) -> bool:
        await dead_process.claim(build)
        return False

    monkeypatch.setattr(shop.cache.store, "claim", refuse_claim)
    async with shop.client() as client:
        assert (await client.get("/things")).status_code == 200
    assert shop.builds == 1


async def test_waiting_requests_share_an_error(shop: Shop) -> None:
    shop.error = RuntimeError("a bug")
    async with shop.client() as client:
        responses = await get_concurrently(client, shop, 20)
        assert {response.status_code for response in responses} == {500}
        assert shop.builds == 1
        shop.error = None
        assert (await client.get("/things")).status_code == 200


@in_redis
async def test_cancelled_build_is_taken_over(shop: Shop) -> None:
    async with shop.client() as client:
        shop.may_finish.clear()
        first = asyncio.create_task(client.get("/things"))
        await wait_until(lambda: shop.builds == 1)
        waiting = [asyncio.create_task(client.get("/things")) for _ in range(5)]
        await wait_until(lambda: shop.counted.lookups == 6)
        await cancel_and_wait(first)
        await wait_until(lambda: shop.builds == 2)
        shop.may_finish.set()
        responses = await asyncio.gather(*waiting)
    assert {response.status_code for response in responses} == {200}
    assert shop.builds == 2


async def test_cancelled_request_does_not_cancel_build(shop: Shop) -> None:
    async with shop.client() as client:
        shop.may_finish.clear()
        first = asyncio.create_task(client.get("/things"))
        await wait_until(lambda: shop.builds == 1)
        second = asyncio.create_task(client.get("/things"))
        await wait_until(lambda: shop.counted.lookups == 2)
        await cancel_and_wait(second)
        shop.may_finish.set()
        assert (await first).status_code == 200


async def test_private_response_is_not_shared(shop: Shop) -> None:
    shop.headers = {"set-cookie": "basket=1"}
    async with shop.client() as client:
        await get_concurrently(client, shop, 5)
    assert shop.builds == 5


async def test_refreshes_are_limited_and_cancelled(shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.cache.builds.MAX_BACKGROUND_REFRESHES", 2)
    async with shop.client(stale=300) as client:
        for number in range(4):
            await client.get(f"/things?n={number}")
        clock.offset = 100
        shop.may_finish.clear()
        for number in range(4):
            assert (await client.get(f"/things?n={number}")).status_code == 200
        tasks = [*shop.cache.builds.refreshes.values()]
        await shop.cache.close()
    assert len(tasks) == 2
    assert all(task.cancelled() for task in tasks)


async def test_stale_response_is_refreshed_once(shop: Shop, clock: Clock) -> None:
    async with shop.client(seconds=60, stale=300) as client:
        await client.get("/things")
        clock.offset, shop.text = 100, "second"
        shop.may_finish.clear()
        stale = [await client.get("/things") for _ in range(10)]
        await wait_until(lambda: shop.builds == 2)
        shop.may_finish.set()
        await wait_until(lambda: not shop.cache.builds.refreshes)
        fresh = await client.get("/things")
    assert all(response.text.startswith("first") for response in stale)
    assert fresh.text.startswith("second")
    assert (shop.builds, shop.route.counts.stale) == (2, 10)


async def test_deleted_page_is_dropped_by_refresh(shop: Shop, clock: Clock) -> None:
    async with shop.client(stale=300) as client:
        await client.get("/things")
        clock.offset, shop.status = 100, 404
        assert (await client.get("/things")).status_code == 200
        await wait_until(lambda: shop.builds == 2 and not shop.cache.builds.refreshes)
        assert (await client.get("/things")).status_code == 404
