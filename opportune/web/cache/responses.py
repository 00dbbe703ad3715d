"""Cached responses of routes."""

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from opportune.context import use_value
from opportune.web.cache.builds import Built, CacheItem
from opportune.web.cache.cache import Cache
from opportune.web.cache.rule import PERSONAL_HEADERS, CacheRule, Header, request_parts
from opportune.web.cache.store import MAX_VALUE_BYTES, CacheEntry, Store
from opportune.web.cookies import may_have_cookie
from opportune.web.forms.hidden_fields import is_shared_page
from opportune.web.rendering.flash import COOKIE_NAME
from opportune.web.routing.router import CachedRoute
from opportune.web.time_zone import current_zone

PRIVATE_DIRECTIVES = ("private", "no-store")
ALLOWED_VARY = {b"accept-encoding", b"accept-language", b"authorization", b"cookie", b"host", b"hx-request-type"}
"""Headers allowed in `Vary`. Each one is hidden from cached routes or is part of the cache key."""
REPLACED_HEADERS = {b"age", b"etag", b"vary"}

BODY_HEADERS = {b"content-length", b"transfer-encoding"}
MESSAGES_COOKIE = f"{COOKIE_NAME}=".encode()

UserLoader = Callable[[Request], Awaitable[Any]]


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
        return replace(self, headers=tuple(headers), built_at=time.time(), etag=etag)

    def pack(self) -> CacheEntry:
        """Serialize to a line of JSON followed by the body."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        head = json.dumps([self.status, self.etag.decode("latin-1"), headers]).encode()
        return CacheEntry(head + b"\n" + self.body, self.built_at)

    async def send(self, scope: Scope, send: Send) -> None:
        """Send the response, or 304 if the client already has it."""
        headers = [*self.headers]
        if self.built_at:
            headers.append((b"age", b"%d" % max(time.time() - self.built_at, 0)))
        status, body = self.status, self.body
        if self.etag and _matches_etag(scope, self.etag):
            status, body = 304, b""
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
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            tags = [tag.strip().removeprefix(b"W/") for tag in value.split(b",")]
            return etag.removeprefix(b"W/") in tags or tags == [b"*"]
    return False


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


async def load_no_user(_request: Request) -> None:
    """Return None as the user, for processes without visitors."""


@dataclass(frozen=True, slots=True)
class ResponseItem(CacheItem):
    scope: Scope
    """Scope with only the headers and query parameters that the response may depend on."""


class ResponseBuild:
    """One run of a cached route."""

    def __init__(self, cache: "ResponseCache", route: CachedRoute, scope: Scope) -> None:
        self.route = route
        self.scope = scope
        self.response: CachedResponse | None = None
        """None before the build, and if the response was streamed."""
        self.has_run = False
        self._cache = cache

    async def run(self, receive: Receive, send: Send) -> Built:
        self.has_run = True
        capture = ResponseCapture(send)
        with use_value(current_zone, self._cache.zone), use_value(is_shared_page, True):
            await self.route.app(self.scope, receive, capture)
        response, rule = capture.response, self.route.rule
        if response is not None and response.is_cacheable(rule):
            self.response = response.with_cache_headers(rule)
            return Built(self.response.pack())
        self.response = response
        if response is None or response.status == 200:
            self._cache.warn_once(self.route.path, "its response is private, too long, or a stream")
        entry = None if response is None or response.is_private else response.pack()
        return Built(entry, is_stored=False)

    async def refresh(self) -> Built:
        async with AsyncExitStack() as stack:
            self.scope["fastapi_middleware_astack"] = stack  # FastAPI has closed the stack of the request
            built = await self.run(_receive_empty_body, _refuse_stream)
        if self.response and self.response.status >= 500:
            raise HTTPException(self.response.status)
        return built


class ResponseCache(Cache):
    """The cache with the responses of routes.

    Args:
        store: Store of responses and values.
        load_user: Returns the user of a request, for responses cached per user.
        zone: Time zone of cached pages, which visitors of all zones share.
        options: Options of `Cache`.
    """

    def __init__(
        self, store: Store, load_user: UserLoader = load_no_user, *, zone: tzinfo = UTC, **options: Any
    ) -> None:
        super().__init__(store, **options)
        self.zone = zone
        self._load_user = load_user

    async def respond(self, route: CachedRoute, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the cached response of a route, or run the route."""
        item = await self._response_item(route, scope)
        if item is None:
            route.counts.bypassed += 1
            await route.app(scope, receive, send)
            return
        build = ResponseBuild(self, route, item.scope)
        try:
            response = await self.builds.load(item, lambda: build.run(receive, send), build.refresh, unpack)
        except Exception as error:
            if build.has_run:
                raise
            raise HTTPException(500) from error  # the request that built it logs the error
        if response := response or build.response:
            await response.send(scope, send)
        elif not build.has_run:  # another request has built it, and it is private or a stream
            route.counts.built += 1
            await route.app(item.scope, receive, send)

    async def _response_item(self, route: CachedRoute, scope: Scope) -> ResponseItem | None:
        """Return None if the request bypasses the cache."""
        rule = route.rule
        names = {name for name, _ in scope["headers"]}
        if not self.is_enabled or not names.isdisjoint(BODY_HEADERS):
            return None
        is_personal = not names.isdisjoint(PERSONAL_HEADERS)
        # Flash messages are rendered once.
        if is_personal and (not rule.per_user or may_have_cookie(scope, MESSAGES_COOKIE)):
            return None
        request = Request(scope)
        user = await self._load_user(request) if is_personal else None
        if getattr(request.state, "impersonator", None):  # the page has a banner
            return None
        visible = {**scope, "headers": rule.visible_headers(scope), "query_string": rule.visible_query(scope)}
        key = self.key("response", *request_parts(visible, str(user.id) if user else ""))
        tags = rule.tags_of(scope["path_params"])
        return ResponseItem(key, route.path, tags, rule.seconds, rule.stale, route.counts, visible)


async def _receive_empty_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse_stream(_message: Message) -> None:
    raise ValueError("A stream cannot be built in the background.")
