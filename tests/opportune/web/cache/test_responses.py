"""Cacheable responses, and their headers for browsers and proxies."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import count

import pytest
from fastapi import Response

from opportune.web import EventStream, cached
from opportune.web.cache.cached_response import unpack
from opportune.web.cache.store import CacheEntry
from tests.opportune.web.cache.conftest import Clock
from tests.opportune.web.cache.shop import OF_TEAM, Shop


async def test_matching_etag_returns_304(shop: Shop) -> None:
    async with shop.client() as client:
        first = await client.get("/things")
        tag = first.headers["etag"]
        for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = await client.get("/things", headers={"if-none-match": header})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
            assert again.headers["vary"] == first.headers["vary"]
            assert "content-length" not in again.headers
        assert (await client.get("/things", headers={"if-none-match": '"other"'})).status_code == 200
    assert shop.builds == 1


async def test_etag_depends_on_content(shop: Shop) -> None:
    tags = []
    async with shop.client() as client:
        for shop.text in ("first", "first", "second"):
            tags.append((await client.get("/things")).headers["etag"])
            await shop.cache.clear("*")
    assert tags[0] == tags[1] != tags[2]


async def test_head_returns_headers_of_get(shop: Shop) -> None:
    async with shop.client() as client:
        for _ in range(2):
            head = await client.head("/things")
            page = await client.get("/things")
            assert head.content == b""
            assert {**head.headers, "age": ""} == {**page.headers, "age": ""}
    assert shop.builds == 1


async def test_cached_response_has_age_and_no_cache(shop: Shop, clock: Clock) -> None:
    async with shop.client(vary=["Accept-Language"]) as client:
        await client.get("/things")
        clock.offset = 20
        response = await client.get("/things")
    assert 20 <= int(response.headers["age"]) <= 25
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["vary"] == "accept-language, cookie, hx-request-type"


async def test_headers_of_route_are_cached(shop: Shop) -> None:
    shop.headers = {"cache-control": "public, max-age=60", "etag": '"mine"', "x-thing": "ü", "vary": "Cookie"}
    async with shop.client() as client:
        responses = [await client.get("/things") for _ in range(2)]
    for response in responses:
        assert response.headers["cache-control"] == "public, max-age=60"
        assert response.headers["etag"] == '"mine"'
        assert response.headers["x-thing"] == "ü"
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert shop.builds == 1


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        pytest.param({"set-cookie": "a=b"}, "", id="cookie"),
        pytest.param({"cache-control": "private, max-age=60"}, "", id="private"),
        pytest.param({"cache-control": "no-store"}, "", id="no-store"),
        pytest.param({"cache-control": "no-cache"}, "", id="no-cache"),
        pytest.param({"vary": "*"}, "", id="any header"),
        pytest.param({"vary": "User-Agent"}, "", id="undeclared header"),
        pytest.param({}, "x" * 1_100_000, id="too long"),
        pytest.param({}, OF_TEAM, id="of a team"),
    ],
)
async def test_private_or_long_response_is_not_cached(
    shop: Shop, headers: dict[str, str], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop.headers, shop.text = headers, text
    async with shop.client() as client:
        responses = [await client.get("/things") for _ in range(3)]
    assert shop.builds == 3
    assert responses[-1].text.startswith(text)
    assert "age" not in responses[-1].headers
    message = "/things is not cached: its response is private, too long, a stream, or of a team"
    assert [record.message for record in caplog.records if "is not cached" in record.message] == [message]


@pytest.mark.parametrize("status", [204, 404])
async def test_only_status_200_is_cached(shop: Shop, status: int) -> None:
    shop.status = status
    async with shop.client() as client:
        assert [(await client.get("/things")).status_code for _ in range(2)] == [status] * 2
        shop.status = 200
        assert (await client.get("/things")).status_code == 200
    assert shop.builds == 3


async def test_stream_is_not_cached(shop: Shop) -> None:
    streams = count(1)

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"stream "
        await asyncio.sleep(0)
        yield str(next(streams)).encode()

    @cached(60)
    async def stream() -> Response:
        return EventStream(chunks())

    async with shop.client_of(stream) as client:
        responses = await asyncio.gather(*(client.get("/things") for _ in range(3)))
    assert {response.text for response in responses} == {"stream 1", "stream 2", "stream 3"}


async def test_json_response_is_cached(shop: Shop) -> None:
    numbers = count(1)

    @cached(60)
    async def endpoint() -> dict[str, int]:
        return {"one": next(numbers)}

    async with shop.client_of(endpoint, "/api/v1/numbers") as client:
        responses = [await client.get("/api/v1/numbers") for _ in range(2)]
    assert [response.json() for response in responses] == [{"one": 1}] * 2
    assert responses[1].headers["content-type"] == "application/json"


def test_unpack_refuses_other_bytes() -> None:
    for text in (b"", b"{}", b"12", b"[1]\nx", b"[1, null, []]\n", b'["x", "", []]\n', b"\x80\x04pickle"):
        with pytest.raises(ValueError, match=r"."):
            unpack(CacheEntry(text, 0))
