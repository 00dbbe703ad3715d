"""What is kept and what is not, and what browsers and proxies are told."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from fastapi import Response
from starlette.responses import StreamingResponse

from opportune.web import EventStream
from opportune.web.cache import cached
from opportune.web.cache.cached_response import CachedResponse, unpack
from tests.opportune.web.cache.conftest import Clock, in_memory
from tests.opportune.web.cache.shop import Shop


@in_memory
async def test_a_browser_that_has_the_answer_is_told_so(shop: Shop) -> None:
    async with shop.client() as client:
        first = await client.get("/things")
        tag = first.headers["etag"]
        for sent in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = await client.get("/things", headers={"if-none-match": sent})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
            assert again.headers["vary"] == first.headers["vary"]
            assert "content-length" not in again.headers
        assert (await client.get("/things", headers={"if-none-match": '"other"'})).status_code == 200

    assert shop.builds == 1


@in_memory
async def test_an_etag_is_of_the_content(shop: Shop) -> None:
    async with shop.client() as client:
        first = (await client.get("/things")).headers["etag"]
        await shop.cache.clear("*")
        same = (await client.get("/things")).headers["etag"]
        await shop.cache.clear("*")
        shop.text = "second"
        other = (await client.get("/things")).headers["etag"]

    assert first == same != other


@in_memory
async def test_head_is_answered_like_get_without_its_body(shop: Shop) -> None:
    async with shop.client() as client:
        for _ in range(2):
            head = await client.head("/things")
            page = await client.get("/things")
            assert head.content == b""
            assert {**head.headers, "age": ""} == {**page.headers, "age": ""}
        known = await client.head("/things", headers={"if-none-match": page.headers["etag"]})
        hers = await client.head("/things", headers={"cookie": "session=ada"})
        wrong = await client.post("/things")

    assert known.status_code == 304
    assert (hers.status_code, hers.content) == (200, b"")
    assert wrong.status_code == 405
    assert (shop.builds, shop.route.counts.bypassed) == (2, 1)


async def test_headers_say_how_old_it_is_and_that_everybody_must_ask(shop: Shop, clock: Clock) -> None:
    async with shop.client(vary=["Accept-Language"]) as client:
        await client.get("/things")
        clock.late = 20
        answer = await client.get("/things")

    assert 20 <= int(answer.headers["age"]) <= 25
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["vary"] == "accept-language, cookie, hx-request-type"


async def test_headers_of_the_route_are_kept_with_its_answer(shop: Shop) -> None:
    shop.headers = {"cache-control": "public, max-age=60", "etag": '"mine"', "x-thing": "ü", "vary": "Cookie"}
    async with shop.client() as client:
        answers = [await client.get("/things") for _ in range(2)]

    for answer in answers:
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert answer.headers["etag"] == '"mine"'
        assert answer.headers["x-thing"] == "ü"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert shop.builds == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"set-cookie": "a=b"},
        {"cache-control": "private, max-age=60"},
        {"cache-control": "no-store"},
        {"cache-control": "no-cache"},
        {"vary": "*"},
        {"vary": "User-Agent"},
        {"vary": "Accept"},
    ],
)
@in_memory
async def test_an_answer_that_is_somebodys_own_is_not_kept(
    shop: Shop, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    shop.headers = headers
    async with shop.client() as client:
        answers = [await client.get("/things") for _ in range(3)]

    assert shop.builds == 3
    assert "age" not in answers[-1].headers
    assert [record.message for record in caplog.records if "marked as cached" in record.message] == [
        "/things is marked as cached, but its answer is private, too long, or a stream"
    ]


@in_memory
@pytest.mark.parametrize("status", [204, 301, 404, 500])
async def test_nothing_but_success_is_kept(shop: Shop, status: int) -> None:
    shop.status = status
    async with shop.client() as client:
        assert [(await client.get("/things")).status_code for _ in range(2)] == [status] * 2
        shop.status = 200
        assert (await client.get("/things")).status_code == 200

    assert shop.builds == 3


@in_memory
async def test_a_crash_is_not_kept(shop: Shop) -> None:
    shop.fault = RuntimeError("a bug")
    async with shop.client() as client:
        assert (await client.get("/things")).status_code == 500
        shop.fault = None
        assert (await client.get("/things")).status_code == 200


@in_memory
async def test_an_answer_that_is_too_long_is_not_kept(shop: Shop) -> None:
    shop.text = "x" * 1_100_000
    async with shop.client() as client:
        assert len((await client.get("/things")).content) > 1_100_000
        await client.get("/things")

    assert shop.builds == 2


@in_memory
@pytest.mark.parametrize("kind", [StreamingResponse, EventStream])
async def test_a_stream_goes_through_as_it_comes(
    shop: Shop, kind: Callable[[AsyncGenerator[bytes, None]], Response]
) -> None:
    builds = 0

    async def pieces() -> AsyncGenerator[bytes, None]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece
            await asyncio.sleep(0)

    @cached(60)
    async def stream() -> Response:
        nonlocal builds
        builds += 1
        return kind(pieces())

    async with shop.client_of(stream) as client:
        answers = await asyncio.gather(*(client.get("/things") for _ in range(3)))

    assert {answer.text for answer in answers} == {"one two three"}
    assert builds == 3


async def test_json_is_kept_as_it_was_sent(shop: Shop) -> None:
    builds = 0

    @cached(60)
    async def numbers() -> dict[str, int]:
        nonlocal builds
        builds += 1
        return {"one": builds}

    async with shop.client_of(numbers, "/api/v1/numbers") as client:
        answers = [await client.get("/api/v1/numbers") for _ in range(2)]

    assert [answer.json() for answer in answers] == [{"one": 1}] * 2
    assert answers[1].headers["content-type"] == "application/json"


def test_what_is_written_down_is_read_as_it_was() -> None:
    answer = CachedResponse(200, ((b"x-a", b"\xfc"), (b"x-a", b"2")), b"\x00\n\xff", 12.5, b'"tag"')

    assert unpack(answer.packed()) == answer


def test_what_is_no_answer_of_ours_is_not_read() -> None:
    for text in (
        b"",
        b"{}",
        b"[1]\nx",
        b"[1, null, []]\n",
        b'["x", "", []]\n',
        b"\x80\x04pickle",
    ):
        with pytest.raises(ValueError, match=r"."):
            unpack(text)
