"""Gzip compression of responses and streams.

The length of a compressed response can reveal a secret next to text from an attacker (BREACH). Responses with secrets
therefore use `SECRET_HEADERS`. Requests with cookies get compressed responses only if the browser says that they come
from this site or the address bar, so another site cannot repeat them (oppman.py docs security).
"""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.web.routing.root_path import path_below_root

Header = tuple[bytes, bytes]

SECRET_HEADERS = {"Cache-Control": "no-store, no-transform"}
"""Headers of a response with a secret. Browsers and proxies neither store nor compress it."""
MIN_SIZE_BYTES = 1024
"""Smallest complete response that is compressed."""
MAX_BYTES_IN_LOOP = 64 * 1024
"""Larger bodies are compressed in a thread. This size takes about a millisecond."""
COMPRESSION_LEVEL = 4
GZIP_WINDOW_BITS = 16
"""Offset for the window size that selects the gzip format in zlib."""
COMPRESSIBLE_TYPES = re.compile(rb"text/|image/svg\+xml|application/(?:[\w.-]+\+)?(?:json|xml|javascript|x-ndjson)\b")
EVENT_STREAM = b"text/event-stream"
TRUSTED_FETCH_SITES = ("same-origin", "none")
UNCOMPRESSED_HEADERS = {b"content-encoding", b"content-range", b"accept-ranges"}


@lru_cache(maxsize=256)
def accepts_gzip(accepted: str) -> bool:
    """Parse `Accept-Encoding`: `gzip;q=0` refuses gzip, and `*` stands for all other encodings."""
    weights = {}
    for encoding in accepted.lower().split(","):
        name, *parameters = (text.strip() for text in encoding.split(";"))
        weights[name] = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return float(weights.get("gzip", weights.get("*", "0"))) > 0
    except ValueError:
        return False


def may_compress(scope: Scope) -> bool:
    """Return whether the client accepts gzip and the request cannot come from another site."""
    headers = Headers(scope=scope)
    is_from_here = "cookie" not in headers or headers.get("sec-fetch-site") in TRUSTED_FETCH_SITES
    return is_from_here and accepts_gzip(",".join(headers.getlist("accept-encoding")))


class CompressionMiddleware:
    """Pure ASGI middleware that compresses responses, and streams chunk by chunk without delay.

    Args:
        app: The application inside.
        excluded_prefix: Paths with this prefix are not compressed.
    """

    def __init__(self, app: ASGIApp, excluded_prefix: str) -> None:
        self.app = app
        self.excluded_prefix = excluded_prefix

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and not path_below_root(scope).startswith(self.excluded_prefix):
            send = CompressedSend(scope, send)
        return self.app(scope, receive, send)


class CompressedSend:
    """ASGI `send` that compresses the response."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None  # delayed until the length of the body is known
        self._stream: zlib._Compress | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send_start(message)
        elif message["type"] == "http.response.body" and (self._start or self._stream):
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            await self._send(message)

    async def _send_start(self, start: Message) -> None:
        status = start["status"]
        headers = [*start.get("headers", ())]
        header_values = dict(headers)
        if not is_compressible(status, header_values):
            await self._send(start)
            return
        MutableHeaders(raw=headers).add_vary_header("Accept-Encoding")
        compress = may_compress(self._scope)
        start = {**start, "headers": _gzip_headers(headers, status) if compress else headers}
        if compress and status != 304 and self._scope["method"] != "HEAD":
            if b"content-length" in header_values:
                self._start = start
                return
            self._stream = _compressor(is_events=header_values[b"content-type"].startswith(EVENT_STREAM))
        await self._send(start)

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        if start := self._start:
            self._start = None
            if more:  # a chunked body in spite of its Content-Length
                self._stream = _compressor()
            else:
                is_cached = len(body) <= MAX_BYTES_IN_LOOP and any(name == b"etag" for name, _ in start["headers"])
                body = _cached_gzip(body) if is_cached else await _run_in_thread_if_large(_gzip, body)
                start["headers"].append((b"content-length", b"%d" % len(body)))
            await self._send(start)
        if self._stream:
            body = await _run_in_thread_if_large(partial(_compress_chunk, self._stream, more=more), body)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def is_compressible(status: int, headers: Mapping[bytes, bytes]) -> bool:
    if status == 304:
        return b"etag" in headers
    length = headers.get(b"content-length")
    if status in (204, 206) or (length is not None and int(length) < MIN_SIZE_BYTES):
        return False
    if not COMPRESSIBLE_TYPES.match(headers.get(b"content-type", b"")):
        return False
    return b"no-transform" not in headers.get(b"cache-control", b"") and UNCOMPRESSED_HEADERS.isdisjoint(headers)


def _gzip_headers(headers: Sequence[Header], status: int) -> list[Header]:
    """Return the headers of the compressed response, with a weak ETag and without the length."""
    changed = []
    for name, value in headers:
        if name == b"etag" and not value.startswith(b"W/"):
            changed.append((name, b"W/" + value))
        elif name != b"content-length":
            changed.append((name, value))
    return changed if status == 304 else [*changed, (b"content-encoding", b"gzip")]


def _compressor(*, is_events: bool = False) -> "zlib._Compress":
    """Create a compressor. For event streams, of which many are open, it takes 11 kB instead of 90."""
    window, memory = (10, 1) if is_events else (zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    return zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, GZIP_WINDOW_BITS + window, memory)


def _compress_chunk(stream: "zlib._Compress", body: bytes, *, more: bool) -> bytes:
    return stream.compress(body) + stream.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, COMPRESSION_LEVEL, GZIP_WINDOW_BITS + zlib.MAX_WBITS)


_cached_gzip = lru_cache(maxsize=64)(_gzip)
"""The response cache sends the same bytes repeatedly."""


async def _run_in_thread_if_large(work: Callable[[bytes], bytes], body: bytes) -> bytes:
    return work(body) if len(body) <= MAX_BYTES_IN_LOOP else await asyncio.to_thread(work, body)
