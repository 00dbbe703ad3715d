"""Compression of a small app and of the site."""

import threading
import zlib
from collections.abc import AsyncIterator
from itertools import product

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, StreamingResponse
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Message, Scope, Send

from opportune.project.layout import PROJECT
from opportune.web.middleware import compression
from opportune.web.middleware.compression import CompressionMiddleware

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

    @app.get("/with-header/{name}/{value:path}")
    async def with_header(name: str, value: str) -> Response:
        return Response(LONG, media_type="text/html", headers={name: value})

    @app.get("/unchanged")
    async def unchanged() -> Response:
        return Response(None, 304, {"ETag": '"a"'})

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(PROJECT / "README.md", media_type="text/plain")

    @app.get("/stream")
    async def stream(has_length: bool = False) -> Response:
        async def lines() -> AsyncIterator[str]:
            for line in LONG.splitlines(keepends=True):
                yield line

        headers = {"Content-Length": str(len(LONG))} if has_length else None
        return StreamingResponse(lines(), 200, headers, "text/plain")

    app.add_middleware(CompressionMiddleware, excluded_prefix="/excluded")
    return app


@pytest.fixture
async def visitor(shop: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(shop), base_url="https://shop.example") as client:
        yield client


def test_accept_encoding_is_parsed() -> None:
    for accepted in ("GZip", "gzip, deflate, br", "gzip ; q=0.001", "*", "deflate, *;q=0.5"):
        assert compression.accepts_gzip(accepted), accepted
    for refused in ("", "identity", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzip;q=much", "gzipped", ";q=1,,;"):
        assert not compression.accepts_gzip(refused), refused


async def test_compressed_page_has_matching_headers(visitor: AsyncClient) -> None:
    response = await visitor.get("/page", headers=GZIP)
    assert response.text == LONG
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < len(LONG) / 4
    assert (response.headers["vary"], response.headers["etag"]) == ("Cookie, Accept-Encoding", 'W/"a"')


async def test_files_with_ranges_are_not_compressed(visitor: AsyncClient) -> None:
    file = await visitor.get("/file", headers=GZIP)
    part = await visitor.get("/file", headers={**GZIP, "Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, file.content[2:10])
    assert "content-encoding" not in {**file.headers, **part.headers}


async def test_304_has_the_etag_of_its_encoding(visitor: AsyncClient) -> None:
    response = await visitor.get("/unchanged", headers=GZIP)
    assert (response.status_code, response.headers["etag"]) == (304, 'W/"a"')
    assert response.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in response.headers
    assert (await visitor.get("/unchanged", headers=PLAIN)).headers["etag"] == '"a"'


async def test_secret_responses_are_not_compressed(visitor: AsyncClient) -> None:
    (header,) = compression.SECRET_HEADERS.items()
    response = await visitor.get("/with-header/{}/{}".format(*header), headers=GZIP)
    assert "content-encoding" not in response.headers
    assert response.headers["cache-control"] == "no-store, no-transform"


TEXT_TYPES = ("text/html; charset=utf-8", "application/json", "image/svg+xml")
MEDIA_TYPES = [*((name, True) for name in TEXT_TYPES), ("image/png", False), ("application/jsonish", False)]


async def test_only_text_is_compressed(visitor: AsyncClient) -> None:
    for content_type, is_text in MEDIA_TYPES:
        response = await visitor.get(f"/typed/{content_type}", headers=GZIP)
        assert (response.headers.get("content-encoding") == "gzip") is is_text, content_type
        assert ("vary" in response.headers) is is_text, content_type
        assert response.text == LONG


async def test_headers_of_route_prevent_compression(visitor: AsyncClient) -> None:
    for header in ["content-encoding/identity", "accept-ranges/bytes", "cache-control/no-transform"]:
        response = await visitor.get(f"/with-header/{header}", headers=GZIP)
        assert response.headers.get("content-encoding") in (None, "identity"), header
        assert response.text == LONG


WITH_COOKIES: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"Sec-Fetch-Site": "cross-site"}, True),
    ({"Cookie": "a=b", "Sec-Fetch-Site": "same-origin"}, True),
    ({"Cookie": "a=b", "Sec-Fetch-Site": "same-site"}, False),
    ({"Cookie": "a=b", "Sec-Fetch-Site": "cross-site"}, False),
    ({"Cookie": "a=b"}, False),
]


async def test_cross_site_request_with_cookie_is_not_compressed(visitor: AsyncClient) -> None:
    for headers, is_compressed in WITH_COOKIES:
        response = await visitor.get("/page", headers={**GZIP, **headers})
        assert ("content-encoding" in response.headers) is is_compressed, headers


async def test_compressed_stream_is_complete(visitor: AsyncClient) -> None:
    for headers, has_length in product((GZIP, PLAIN), (False, True)):
        response = await visitor.get("/stream", params={"has_length": has_length}, headers=headers)
        assert response.text == LONG
        assert ("content-encoding" in response.headers) is (headers is GZIP)
        assert ("content-length" in response.headers) is (has_length and headers is PLAIN)


async def test_compressed_events_are_sent_immediately() -> None:
    sent: list[Message] = []
    decompressor = zlib.decompressobj(compression.GZIP_WINDOW_BITS + zlib.MAX_WBITS)

    async def events(_scope: Scope, _receive: object, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert len(sent) == 1, "the headers are sent before the first event"
        for event in (b": heartbeat\n\n", b"data: one\n\n", b"data: two\n\n", b"x" * 2 * compression.MAX_BYTES_IN_LOOP):
            await send({"type": "http.response.body", "body": event, "more_body": True})
            assert decompressor.decompress(sent[-1]["body"]) == event
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def record(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", b"gzip")]}
    await CompressionMiddleware(events, excluded_prefix="/static")(scope, None, record)  # type: ignore[arg-type]
    assert (b"content-encoding", b"gzip") in sent[0]["headers"]
    assert (b"x-accel-buffering", b"no") in sent[0]["headers"]
    decompressor.decompress(sent[-1]["body"])
    assert decompressor.eof
    assert not sent[-1]["more_body"]


async def test_long_response_uses_a_thread(visitor: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    compress = zlib.compress

    def compress_and_record(data: bytes, *options: int) -> bytes:
        threads.append(threading.current_thread())
        return compress(data, *options)

    monkeypatch.setattr(zlib, "compress", compress_and_record)
    await visitor.get(f"/sized/{compression.MAX_BYTES_IN_LOOP + 1}", headers=GZIP)
    assert threads
    assert threading.current_thread() not in threads


async def test_pages_and_json_are_compressed(client: AsyncClient) -> None:
    for path in ("/accounts/login", "/api/openapi.json"):
        response = await client.get(path, headers={**GZIP, "Accept": "text/html"})
        assert response.headers["content-encoding"] == "gzip", path
        assert "Accept-Encoding" in response.headers["vary"]
        assert "content-security-policy" in response.headers
