"""Compression of a small app and of the site."""

import threading
import zlib
from collections.abc import AsyncIterator
from itertools import product

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from httpx import ASGITransport, AsyncClient
from starlette.types import Message, Scope, Send

from opportune.config.project import PROJECT
from opportune.web.middleware import compression
from opportune.web.middleware.compression import (
    MAX_BYTES_IN_LOOP,
    MIN_SIZE_BYTES,
    SECRET_HEADERS,
    CompressionMiddleware,
    accepts_gzip,
)

pytestmark = pytest.mark.database("sqlite")

LONG = "A line of a page.\n" * 200
GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
def shop() -> FastAPI:
    app = FastAPI()

    @app.api_route("/page", methods=["GET", "HEAD"])
    async def page() -> Response:
        return Response(LONG, media_type="text/html", headers={"ETag": '"a"', "Vary": "Cookie"})

    @app.get("/typed/{content_type:path}")
    async def typed(content_type: str) -> Response:
        return Response(LONG, media_type=content_type)

    @app.get("/sized/{size}")
    async def sized(size: int) -> Response:
        return Response("x" * size, media_type="text/plain")

    @app.get("/said/{name}/{value:path}")
    async def said(name: str, value: str) -> Response:
        return Response(LONG, media_type="text/html", headers={name: value})

    @app.get("/status/{code}")
    async def status(code: int) -> Response:
        return JSONResponse({"lines": LONG}, code) if code != 304 else Response(None, 304, {"ETag": '"a"'})

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(PROJECT / "README.md", media_type="text/plain")

    @app.get("/pieces")
    async def pieces(told: bool = False) -> Response:
        async def lines() -> AsyncIterator[str]:
            for line in LONG.splitlines(keepends=True):
                yield line

        return StreamingResponse(lines(), 200, {"Content-Length": str(len(LONG))} if told else None, "text/plain")

    app.add_middleware(CompressionMiddleware, excluded_prefix="/apart")
    return app


@pytest.fixture
async def visitor(shop: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(shop), base_url="https://shop.example") as client:
        yield client


def test_accept_encoding_is_parsed() -> None:
    for accepted, takes in (
        ("gzip", True),
        ("GZip", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip ; q=0.001", True),
        ("*", True),
        ("deflate, *;q=0.5", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, br", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=much", False),
        ("gzipped", False),
        (";q=1,,;", False),
    ):
        assert accepts_gzip(accepted) is takes, accepted


async def test_secret_responses_are_not_compressed(
    visitor: AsyncClient,
) -> None:
    packed, plain = await visitor.get("/page", headers=GZIP), await visitor.get("/page", headers=PLAIN)
    assert packed.text == plain.text == LONG
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(LONG) / 4
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) == len(LONG)
    assert packed.headers["vary"] == plain.headers["vary"] == "Cookie, Accept-Encoding"
    assert (packed.headers["etag"], plain.headers["etag"]) == ('W/"a"', '"a"')

    told, sent = await visitor.head("/page", headers=GZIP), await visitor.get("/page", headers=GZIP)
    assert told.content == b""
    assert "content-length" not in told.headers
    assert {**told.headers, "content-length": sent.headers["content-length"]} == dict(sent.headers)
    told_plain = await visitor.head("/page", headers=PLAIN)
    assert int(told_plain.headers["content-length"]) == len(LONG)

    whole = await visitor.get("/file", headers=GZIP)
    part = await visitor.get("/file", headers={**GZIP, "Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, whole.content[2:10])
    assert "content-encoding" not in {**whole.headers, **part.headers}

    response = await visitor.get("/status/304", headers=GZIP)
    assert (response.status_code, response.headers["etag"], response.headers["vary"]) == (
        304,
        'W/"a"',
        "Accept-Encoding",
    )
    assert "content-encoding" not in response.headers
    assert (await visitor.get("/status/304", headers=PLAIN)).headers["etag"] == '"a"'

    (header,) = SECRET_HEADERS.items()
    response = await visitor.get("/said/{}/{}".format(*header), headers=GZIP)
    assert "content-encoding" not in response.headers
    assert response.headers["cache-control"] == "no-store, no-transform"


KINDS = [
    ("text/html; charset=utf-8", True),
    ("text/css", True),
    ("application/json", True),
    ("application/problem+json", True),
    ("image/svg+xml", True),
    ("image/png", False),
    ("application/zip", False),
    ("application/octet-stream", False),
    ("font/woff2", False),
    ("application/jsonish", False),
]
KEPT = ["content-encoding/identity", "content-range/bytes 0-9/10", "accept-ranges/bytes", "cache-control/no-transform"]


async def test_only_large_text_is_compressed(visitor: AsyncClient) -> None:
    for content_type, is_text in KINDS:
        response = await visitor.get(f"/typed/{content_type}", headers=GZIP)
        assert (response.headers.get("content-encoding") == "gzip") is is_text, content_type
        assert ("vary" in response.headers) is is_text, content_type
        assert response.text == LONG
    for size, encoding in ((0, None), (MIN_SIZE_BYTES - 1, None), (MIN_SIZE_BYTES, "gzip")):
        response = await visitor.get(f"/sized/{size}", headers=GZIP)
        assert response.headers.get("content-encoding") == encoding, size
        assert response.text == "x" * size
    for said in KEPT:
        response = await visitor.get(f"/said/{said}", headers=GZIP)
        assert response.headers.get("content-encoding") in (None, "identity"), said
        assert response.text == LONG


async def test_errors_are_compressed(visitor: AsyncClient) -> None:
    for code in (200, 404, 500):
        response = await visitor.get(f"/status/{code}", headers=GZIP)
        assert (response.status_code, response.headers["content-encoding"]) == (code, "gzip")
        assert response.json() == {"lines": LONG}


WITH_COOKIES: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"Sec-Fetch-Site": "cross-site"}, True),
    ({"Authorization": "Bearer abc"}, True),
    ({"Cookie": "a=b", "Sec-Fetch-Site": "same-origin"}, True),
    ({"Cookie": "a=b", "Sec-Fetch-Site": "none"}, True),
    ({"Cookie": "a=b", "Sec-Fetch-Site": "same-site"}, False),
    ({"Cookie": "a=b", "Sec-Fetch-Site": "cross-site"}, False),
    ({"Cookie": "a=b"}, False),
]


async def test_cross_site_request_with_cookie_is_not_compressed(visitor: AsyncClient) -> None:
    for headers, is_compressed in WITH_COOKIES:
        for path in ("/page", "/pieces"):
            response = await visitor.get(path, headers={**GZIP, **headers})
            assert ("content-encoding" in response.headers) is is_compressed, headers
            assert response.text == LONG


async def test_compressed_stream_is_complete(visitor: AsyncClient) -> None:
    for headers, told in product((GZIP, PLAIN), (False, True)):
        response = await visitor.get("/pieces", params={"told": told}, headers=headers)
        assert response.text == LONG
        assert ("content-encoding" in response.headers) is (headers is GZIP)
        assert ("content-length" in response.headers) is (told and headers is PLAIN)


async def test_compressed_events_are_sent_immediately() -> None:
    sent: list[Message] = []
    unpacked = zlib.decompressobj(16 + zlib.MAX_WBITS)

    async def events(_scope: Scope, _receive: object, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert len(sent) == 1, "whoever follows knows at once that it has begun"
        for event in (b": heartbeat\n\n", b"data: one\n\n", b"data: two\n\n", b"x" * 2 * MAX_BYTES_IN_LOOP):
            await send({"type": "http.response.body", "body": event, "more_body": True})
            assert unpacked.decompress(sent[-1]["body"]) == event
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def keep(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", b"gzip")]}
    await CompressionMiddleware(events, excluded_prefix="/static")(scope, None, keep)  # type: ignore[arg-type]
    assert (b"content-encoding", b"gzip") in sent[0]["headers"]
    assert (b"x-accel-buffering", b"no") in sent[0]["headers"]
    unpacked.decompress(sent[-1]["body"])
    assert unpacked.eof
    assert not sent[-1]["more_body"]


async def test_long_response_is_compressed_in_a_thread(visitor: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    compress = zlib.compress

    def recorded(data: bytes, *options: int) -> bytes:
        threads.append(threading.current_thread())
        return compress(data, *options)

    monkeypatch.setattr(zlib, "compress", recorded)
    await visitor.get(f"/sized/{MAX_BYTES_IN_LOOP + 1}", headers=GZIP)
    assert threads.pop() is not threading.current_thread()
    compression._cached_gzip.cache_clear()
    for _ in range(2):
        await visitor.get("/page", headers=GZIP)
    assert threads == [threading.current_thread()]


async def test_pages_and_json_are_compressed(client: AsyncClient) -> None:
    for path in ("/accounts/login", "/nothing", "/api/openapi.json"):
        response = await client.get(path, headers={**GZIP, "Accept": "text/html"})
        assert response.headers["content-encoding"] == "gzip", path
        assert "Accept-Encoding" in response.headers["vary"]
        assert "content-security-policy" in response.headers
