"""A response that is captured from a route, and stored in the cache."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b

from starlette.types import Message, Scope, Send

from opportune.services.clock import clock
from opportune.web.cache.rule import CacheRule, Header
from opportune.web.cache.store import MAX_VALUE_BYTES, CacheEntry

PRIVATE_DIRECTIVES = ("private", "no-store")
ALLOWED_VARY = {b"accept-encoding", b"accept-language", b"authorization", b"cookie", b"host", b"hx-request-type"}
"""Headers allowed in `Vary`. Each one is hidden from cached routes or is part of the cache key."""
REPLACED_HEADERS = {b"age", b"etag", b"vary"}


@dataclass(frozen=True, slots=True)
class CachedResponse:
    status: int
    headers: tuple[Header, ...]
    body: bytes
    built_at: float = 0
    etag: bytes = b""

    def values(self, name: bytes) -> list[str]:
        """Return the comma-separated values of a header in lower case."""
        text = b",".join(value for key, value in self.headers if key == name).decode("latin-1")
        return [value.strip().lower() for value in text.split(",") if value.strip()]

    @property
    def is_private(self) -> bool:
        """Whether the response sets a cookie, or its `Cache-Control` forbids sharing it."""
        if any(name == b"set-cookie" for name, _ in self.headers):
            return True
        return any(value.partition("=")[0] in PRIVATE_DIRECTIVES for value in self.values(b"cache-control"))

    def is_cacheable(self, rule: CacheRule) -> bool:
        if self.status != 200 or self.is_private or len(self.body) > MAX_VALUE_BYTES:
            return False
        if "no-cache" in self.values(b"cache-control"):
            return False
        return {name.encode() for name in self.values(b"vary")} <= ALLOWED_VARY | rule.vary

    def with_cache_headers(self, rule: CacheRule) -> "CachedResponse":
        """Add the time, an ETag, `Vary` and, unless it is set, a `Cache-Control` that makes browsers revalidate."""
        headers = [header for header in self.headers if header[0] not in REPLACED_HEADERS]
        if not rule.per_user and not self.values(b"cache-control"):  # the middleware marks responses per user private
            headers.append((b"cache-control", b"no-cache"))
        vary = {name.encode() for name in self.values(b"vary")} | rule.vary | {b"cookie", b"hx-request-type"}
        digest = blake2b(self.body, digest_size=12).hexdigest()
        etag = dict(self.headers).get(b"etag") or f'"{digest}"'.encode()
        headers += [(b"etag", etag), (b"vary", b", ".join(sorted(vary)))]
        return replace(self, headers=tuple(headers), built_at=clock.now(), etag=etag)

    def pack(self) -> CacheEntry:
        """Serialize to a line of JSON followed by the body."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        head = json.dumps([self.status, self.etag.decode("latin-1"), headers]).encode()
        return CacheEntry(head + b"\n" + self.body, self.built_at)

    async def send(self, scope: Scope, send: Send) -> None:
        """Send the response, or 304 if the client already has it."""
        headers = [*self.headers]
        if self.built_at:
            headers.append((b"age", b"%d" % max(clock.now() - self.built_at, 0)))
        status = self.status
        body = self.body
        if self.etag and _matches_etag(scope, self.etag):
            status = 304
            body = b""
            headers = [header for header in headers if header[0] != b"content-length"]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def unpack(entry: CacheEntry) -> CachedResponse:
    """Parse the entry of `CachedResponse.pack`.

    Raises:
        ValueError: The entry has another format.
    """
    head, _, body = entry.value.partition(b"\n")
    status, etag, headers = _parse_head(head)
    return CachedResponse(status, headers, body, entry.built_at, etag)


@lru_cache(1000)
def _parse_head(head: bytes) -> tuple[int, bytes, tuple[Header, ...]]:
    try:
        status, etag, headers = json.loads(head)
        pairs = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
        return int(status), etag.encode("latin-1"), pairs
    except (AttributeError, TypeError) as error:
        raise ValueError("not a packed response") from error


def _matches_etag(scope: Scope, etag: bytes) -> bool:
    header = dict(scope["headers"]).get(b"if-none-match", b"")
    tags = [tag.strip().removeprefix(b"W/") for tag in header.split(b",")]
    return etag.removeprefix(b"W/") in tags or tags == [b"*"]


class ResponseCapture:
    """ASGI `send` that captures a complete response, and forwards a streamed one."""

    def __init__(self, send: Send) -> None:
        self.response: CachedResponse | None = None
        self._send = send
        self._start: Message | None = None
        self._is_streaming = False

    async def __call__(self, message: Message) -> None:
        if self._is_streaming:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._start = message
        elif self._start and message["type"] == "http.response.body" and not message.get("more_body"):
            headers = tuple((bytes(name), bytes(value)) for name, value in self._start["headers"])
            self.response = CachedResponse(self._start["status"], headers, message.get("body", b""))
        else:
            self._is_streaming = True
            if self._start:
                await self._send(self._start)
            await self._send(message)
