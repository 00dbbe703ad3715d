"""Answers as gzip for those who take it: whole ones, and streams as they flow.

The length of a compressed answer tells whether a text that an attacker chose is like one that is secret (BREACH). So
what shows a secret is `SECRET`; and who brings a cookie gets compressed answers only where the browser says that a page
of ours or the address bar asks: another site cannot have it ask again and again (docs/security.md).
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

SECRET_HEADERS = {"Cache-Control": "no-store, no-transform"}
"""Headers of an answer that shows a secret: nobody keeps it and nobody compresses it, proxies included."""
MIN_SIZE_BYTES = 1024
"""Bytes of a whole answer from which on it is compressed."""
MAX_BYTES_IN_LOOP = 64 * 1024
"""Bytes above which it is done in a thread: about a millisecond."""
COMPRESSION_LEVEL = 4
GZIP_WINDOW_BITS = 16
"""Added to the bits of zlib's window, it makes gzip."""
COMPRESSIBLE_TYPES = re.compile(rb"text/|image/svg\+xml|application/(?:[\w.-]+\+)?(?:json|xml|javascript|x-ndjson)\b")
EVENT_STREAM = b"text/event-stream"
TRUSTED_FETCH_SITES = (b"same-origin", b"none")
UNCOMPRESSED_HEADERS = (b"content-encoding", b"content-range", b"accept-ranges")


@lru_cache(maxsize=256)
def takes_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` takes gzip: `gzip;q=0` refuses it, and `*` is all that is not named."""
    weights = {}
    for part in accepted.lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        weights[name] = next((word[2:] for word in parameters if word.startswith("q=")), "1")
    weight = weights.get("gzip", weights.get("*", "0"))
    return bool(re.fullmatch(r"(?=.*[1-9])[01](?:\.\d{0,3})?", weight, re.ASCII))


def may_compress(scope: Scope) -> bool:
    """Whether this visitor takes gzip, and no other site has had their browser ask."""
    accepted, site, has_cookie = "", b"", False
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accepted += "," + value.decode("latin-1")
        elif name == b"cookie":
            has_cookie = True
        elif name == b"sec-fetch-site":
            site = value
    return (not has_cookie or site in TRUSTED_FETCH_SITES) and takes_gzip(accepted)


class CompressionMiddleware:
    """Compresses responses, and streams piece by piece without holding them back. Pure ASGI.

    Args:
        app: The application inside.
        excluded_prefix: Beginning of the paths whose responses are sent as they are.
    """

    def __init__(self, app: ASGIApp, excluded_prefix: str) -> None:
        self.app = app
        self.excluded_prefix = excluded_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(self.excluded_prefix):
            send = CompressedSend(scope, send)
        await self.app(scope, receive, send)


class CompressedSend:
    """A `send` that compresses what it sends."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None  # held until the length of what follows is known
        self._stream: zlib._Compress | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body" and (self._start or self._stream):
            await self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            await self._send(message)

    async def _begin(self, start: Message) -> None:
        status, headers = start["status"], [*start.get("headers", ())]
        named = dict(headers)
        if not is_compressible(status, named):
            await self._send(start)
            return
        may = may_compress(self._scope)
        start = {**start, "headers": _gzip_headers(headers, status) if may else _varied(headers)}
        if may and status != 304 and self._scope["method"] != "HEAD":
            if b"content-length" in named:
                self._start = start
                return
            self._stream = _compressor(is_events=named[b"content-type"].startswith(EVENT_STREAM))
        await self._send(start)

    async def _go_on(self, body: bytes, *, more: bool) -> None:
        if start := self._start:
            self._start = None
            if more:  # its length was told, and still it comes in pieces
                self._stream = _compressor()
            else:
                body = await _whole(body, can_recur=any(name == b"etag" for name, _ in start["headers"]))
                start["headers"].append((b"content-length", b"%d" % len(body)))
            await self._send(start)
        if self._stream:
            body = await _off_loop_if_long(partial(_flowed, self._stream, more=more), body)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def is_compressible(status: int, headers: Mapping[bytes, bytes]) -> bool:
    if status == 304:
        return b"etag" in headers
    if status in (204, 206) or not COMPRESSIBLE_TYPES.match(headers.get(b"content-type", b"")):
        return False
    if b"no-transform" in headers.get(b"cache-control", b"") or any(name in headers for name in UNCOMPRESSED_HEADERS):
        return False
    length = headers.get(b"content-length")
    return length is None or int(length) >= MIN_SIZE_BYTES


def _varied(headers: Sequence[Header]) -> list[Header]:
    vary = b", ".join([value for name, value in headers if name == b"vary"] + [b"Accept-Encoding"])
    return [*(header for header in headers if header[0] != b"vary"), (b"vary", vary)]


def _gzip_headers(headers: Sequence[Header], status: int) -> list[Header]:
    """Those of the same answer in other bytes: its ETag is a weak one, and its length another."""
    changed = []
    for name, value in _varied(headers):
        if name == b"etag" and not value.startswith(b"W/"):
            changed.append((name, b"W/" + value))
        elif name != b"content-length":
            changed.append((name, value))
    return changed if status == 304 else [*changed, (b"content-encoding", b"gzip")]


def _compressor(*, is_events: bool = False) -> "zlib._Compress":
    """Many event streams are open at once, of short pieces: theirs take 11 kB each, and not 90."""
    window, memory = (10, 1) if is_events else (zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    return zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, GZIP_WINDOW_BITS + window, memory)


def _flowed(stream: "zlib._Compress", body: bytes, *, more: bool) -> bytes:
    return stream.compress(body) + stream.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)


async def _whole(body: bytes, *, can_recur: bool) -> bytes:
    if can_recur and len(body) <= MAX_BYTES_IN_LOOP:
        return _remembered(body)
    return await _off_loop_if_long(_packed, body)


def _packed(body: bytes) -> bytes:
    return zlib.compress(body, COMPRESSION_LEVEL, GZIP_WINDOW_BITS + zlib.MAX_WBITS)


_remembered = lru_cache(maxsize=64)(_packed)
"""Answers from the response cache come as the same bytes again and again."""


async def _off_loop_if_long(work: Callable[[bytes], bytes], body: bytes) -> bytes:
    return work(body) if len(body) <= MAX_BYTES_IN_LOOP else await asyncio.to_thread(work, body)
