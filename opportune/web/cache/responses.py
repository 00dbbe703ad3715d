"""The cache of the responses of routes: it serves, builds and refreshes them."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from opportune.context import use_value
from opportune.web.cache.builds import Built, CacheItem
from opportune.web.cache.cache import Cache
from opportune.web.cache.cached_response import CachedResponse, ResponseCapture, unpack
from opportune.web.cache.rule import PERSONAL_HEADERS, request_parts
from opportune.web.cache.store import Store
from opportune.web.cookies import may_have_cookie
from opportune.web.forms.hidden_fields import TEAM_KEY, is_shared_page
from opportune.web.rendering.flash import COOKIE_NAME
from opportune.web.routing.router import CachedRoute
from opportune.web.time_zone import current_zone

BODY_HEADERS = {b"content-length", b"transfer-encoding"}
MESSAGES_COOKIE = f"{COOKIE_NAME}=".encode()

Viewer = tuple[object, ...]
"""All of a visitor that a response may depend on; empty for anonymous visitors."""
ViewerReader = Callable[[Request], Awaitable[Viewer | None]]


async def read_no_viewer(_request: Request) -> Viewer:
    """Return an anonymous visitor, for processes without visitors."""
    return ()


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
        has_team = TEAM_KEY in self.scope.get("state", {})  # the user may switch to another one
        if response is not None and response.is_cacheable(rule) and not has_team:
            self.response = response.with_cache_headers(rule)
            return Built(self.response.pack())
        self.response = response
        if response is None or response.status == 200:
            self._cache.warn_once(self.route.path, "its response is private, too long, a stream, or of a team")
        entry = None if response is None or response.is_private or has_team else response.pack()
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
        read_viewer: Returns the visitor of a request, for responses cached per user; None to bypass the cache.
        zone: Time zone of cached pages, which visitors of all zones share.
        options: Options of `Cache`.
    """

    def __init__(
        self, store: Store, read_viewer: ViewerReader = read_no_viewer, *, zone: tzinfo = UTC, **options: Any
    ) -> None:
        super().__init__(store, **options)
        self.zone = zone
        self._read_viewer = read_viewer

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
        viewer = await self._read_viewer(Request(scope)) if is_personal else ()
        if viewer is None:
            return None
        visible = {**scope, "headers": rule.visible_headers(scope), "query_string": rule.visible_query(scope)}
        key = self.key("response", *request_parts(visible), viewer)
        tags = rule.tags_of(scope["path_params"])
        return ResponseItem(key, route.path, tags, rule.seconds, rule.stale, route.counts, visible)


async def _receive_empty_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse_stream(_message: Message) -> None:
    raise ValueError("A stream cannot be built in the background.")
