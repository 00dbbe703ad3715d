"""Response cache: serves fresh or stale responses, and builds each missing one once."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import Enum
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from opportune.db.bus import Bus
from opportune.db.drivers.replica import reads_fresh
from opportune.services.tasks import cancel_and_wait
from opportune.web.cache.cached_response import CachedResponse, ResponseCapture
from opportune.web.cache.rule import PERSONAL_HEADERS, cache_key
from opportune.web.cache.store import ALL_TAGS, CacheLookup, Store
from opportune.web.forms.submissions import is_shared_page
from opportune.web.rendering.flash import may_have_messages
from opportune.web.time_zone import current_zone

if TYPE_CHECKING:
    from opportune.web.routing.router import CachedRoute

BUS_TOPIC = "cache"

logger = logging.getLogger(__name__)

BODY_HEADERS = {b"content-length", b"transfer-encoding"}
MAX_BACKGROUND_REFRESHES = 8
"""Maximum parallel builds in the background. Other responses stay stale until a later request."""
BUILD_WAIT_SECONDS = 10.0
"""Seconds to wait for another process to build a response before this one builds it."""
POLL_INTERVAL_SECONDS = 0.03
RETRY_AFTER_SECONDS = 1.0
"""Seconds before a failed refresh of a stale response is tried again."""

UserLoader = Callable[[Request], Awaitable[Any]]


async def load_no_user(_request: Request) -> None:
    """Return None as the user, for processes without visitors."""


class NotShared(Enum):
    """Reason why a build has no response for the requests that waited for it."""

    PRIVATE = "the response is private or a stream"
    CANCELLED = "the build was cancelled"


Outcome = CachedResponse | Exception | NotShared


@dataclass(frozen=True, slots=True)
class CachedRequest:
    """Request to a cached route, with only the headers and query parameters that the response may depend on."""

    route: "CachedRoute"
    scope: Scope
    key: str
    tags: tuple[str, ...]

    def is_fresh(self, response: CachedResponse) -> bool:
        return time.time() - response.built_at < self.route.rule.seconds

    def is_usable(self, response: CachedResponse) -> bool:
        """Return whether the response is fresh, or stale for less than the rule's `stale` seconds."""
        rule = self.route.rule
        return time.time() - response.built_at < rule.seconds + rule.stale

    def build_key(self, lookup: CacheLookup) -> str:
        """Return the key of a build. Clearing a tag changes it, so later requests do not wait for an outdated build."""
        return f"{self.key}:{':'.join(lookup.tag_versions)}"


class Cache:
    """The response cache of a site.

    Args:
        store: Store of the responses.
        load_user: Returns the user of a request, for responses cached per user.
        is_enabled: False builds every response again.
        zone: Time zone of cached pages, which visitors of all zones share.
        bus: Bus that tells other processes which tags to clear, if each process has its own store.
    """

    def __init__(
        self,
        store: Store,
        load_user: UserLoader,
        *,
        is_enabled: bool = True,
        zone: tzinfo = UTC,
        bus: Bus | None = None,
    ) -> None:
        self.store = store
        self._bus = bus
        self._clearings = set[asyncio.Task[None]]()
        if bus:
            bus.subscribe(BUS_TOPIC, self._clear_as_elsewhere)
        self._zone = zone
        self.is_enabled = is_enabled
        self._load_user = load_user
        self._builds: dict[str, asyncio.Future[Outcome]] = {}
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._warned_paths: set[str] = set()

    async def close(self) -> None:
        await cancel_and_wait(*self._refreshes.values(), *self._clearings)
        await self.store.close()

    async def clear(self, *tags: str) -> None:
        """Remove the responses with one of these tags, in all processes."""
        await self.store.clear(*tags)
        if self._bus:
            self._bus.publish(BUS_TOPIC, json.dumps(tags))

    def _clear_as_elsewhere(self, payload: str | None) -> None:
        """Clear the tags that another process has cleared, or all responses if messages may have been lost."""
        tags = (ALL_TAGS,) if payload is None else json.loads(payload)
        if not (isinstance(tags, list | tuple) and all(isinstance(tag, str) for tag in tags)):
            return
        task = asyncio.create_task(self.store.clear(*tags))
        self._clearings.add(task)
        task.add_done_callback(self._clearings.discard)

    async def respond(self, route: "CachedRoute", scope: Scope, receive: Receive, send: Send) -> None:
        """Send the cached response of a route, or run the route."""
        request = await self._cached_request(route, scope)
        if request is None:
            route.counts.bypassed += 1
            await route.app(scope, receive, send)
            return
        outcome: Outcome | None = NotShared.CANCELLED
        while outcome is NotShared.CANCELLED:
            lookup = await self._look_up(request)
            if isinstance(lookup, CachedResponse):
                outcome = lookup
            else:
                outcome = await self._join_or_build(request, lookup, receive, send)
        if isinstance(outcome, CachedResponse):
            await outcome.send(scope, send)
        elif isinstance(outcome, Exception):
            raise HTTPException(500) from outcome  # the request that built it logs the error
        elif outcome is NotShared.PRIVATE:
            route.counts.built += 1
            await route.app(request.scope, receive, send)

    async def _cached_request(self, route: "CachedRoute", scope: Scope) -> CachedRequest | None:
        """Return None if the request bypasses the cache."""
        rule, names = route.rule, {name for name, _ in scope["headers"]}
        is_personal = not names.isdisjoint(PERSONAL_HEADERS)
        if not self.is_enabled or not names.isdisjoint(BODY_HEADERS):
            return None
        if is_personal and (not rule.per_user or may_have_messages(scope)):  # flash messages are rendered once
            return None
        request = Request(scope)
        user = await self._load_user(request) if is_personal else None
        if getattr(request.state, "impersonator", None):  # the page has a banner
            return None
        visible_scope = {**scope, "headers": rule.visible_headers(scope), "query_string": rule.visible_query(scope)}
        key = cache_key(visible_scope, str(user.id) if user else "")
        return CachedRequest(route, visible_scope, key, rule.tags_of(scope["path_params"]))

    async def _look_up(self, request: CachedRequest) -> CachedResponse | CacheLookup:
        """Return the stored response if it is usable, otherwise the lookup with the versions of its tags."""
        lookup = await self.store.find(request.key, request.tags)
        if lookup.response is None or not request.is_usable(lookup.response):
            return lookup
        if request.is_fresh(lookup.response):
            request.route.counts.fresh += 1
        else:
            request.route.counts.stale += 1
            self._start_refresh(request, lookup)
        return lookup.response

    async def _join_or_build(
        self, request: CachedRequest, lookup: CacheLookup, receive: Receive, send: Send
    ) -> Outcome | None:
        """Wait for a running build of this response, or build it. Return None if the response was streamed."""
        build = self._builds.get(request.build_key(lookup))
        if build is None:
            return await self._build_shared(request, lookup, receive, send)
        outcome = await asyncio.shield(build)
        request.route.counts.shared += isinstance(outcome, CachedResponse)
        return outcome

    async def _build_shared(
        self, request: CachedRequest, lookup: CacheLookup, receive: Receive, send: Send
    ) -> CachedResponse | None:
        """Build the response, and pass the outcome to requests that arrive during the build."""
        key = request.build_key(lookup)
        build = self._builds[key] = asyncio.get_running_loop().create_future()
        outcome: Outcome = NotShared.CANCELLED
        try:
            response = await self._wait_for_claim(request, key)
            if response is None:
                response = await self._build(request, lookup, receive, send)
            outcome = NotShared.PRIVATE if response is None or response.is_private else response
        except Exception as error:
            outcome = error
            raise
        finally:
            del self._builds[key]
            build.set_result(outcome)
            await self.store.release(key)
        return response

    async def _wait_for_claim(self, request: CachedRequest, key: str) -> CachedResponse | None:
        """Wait until this process may build. Return the response if another process has built it first."""
        deadline = time.monotonic() + BUILD_WAIT_SECONDS
        while True:
            is_claimed = await self.store.claim(key) or time.monotonic() > deadline
            lookup = await self.store.find(request.key, request.tags)
            if lookup.response and request.is_fresh(lookup.response):
                request.route.counts.shared += 1
                return lookup.response
            if is_claimed:
                return None
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def _build(
        self, request: CachedRequest, lookup: CacheLookup, receive: Receive, send: Send
    ) -> CachedResponse | None:
        """Run the route. Return None if it has streamed its response through `send`."""
        route, capture = request.route, ResponseCapture(send)
        fresh_token = reads_fresh.set(True)  # a lagging replica would be cached
        zone_token = current_zone.set(self._zone)
        shared_token = is_shared_page.set(True)
        try:
            await route.app(request.scope, receive, capture)
        finally:
            is_shared_page.reset(shared_token)
            current_zone.reset(zone_token)
            reads_fresh.reset(fresh_token)
        route.counts.built += 1
        response = capture.response
        if response is None or not response.is_cacheable(route.rule):
            self._warn_once(route, response)
            return response
        response = response.with_cache_headers(route.rule)
        await self.store.save(request.key, response, lookup, request.tags, route.rule.seconds + route.rule.stale)
        return response

    def _warn_once(self, route: "CachedRoute", response: CachedResponse | None) -> None:
        if (response is None or response.status == 200) and route.path not in self._warned_paths:
            self._warned_paths.add(route.path)
            logger.warning("%s is not cached: its response is private, too long, or a stream", route.path)

    def _start_refresh(self, request: CachedRequest, lookup: CacheLookup) -> None:
        key = request.build_key(lookup)
        if key in self._builds or key in self._refreshes or len(self._refreshes) >= MAX_BACKGROUND_REFRESHES:
            return
        task = self._refreshes[key] = asyncio.create_task(self._refresh(request, lookup))
        task.add_done_callback(lambda _: self._refreshes.pop(key))

    async def _refresh(self, request: CachedRequest, lookup: CacheLookup) -> None:
        try:
            async with AsyncExitStack() as stack:
                # FastAPI has closed the stack of the request.
                request.scope["fastapi_middleware_astack"] = stack
                response = await self._build_shared(request, lookup, _receive_empty_body, _refuse_stream)
        except Exception:  # the visitor already has the stale response
            logger.exception("%s: the stale response could not be refreshed", request.route.path)
            response = None
        if response is None or response.status >= 500:
            await asyncio.sleep(RETRY_AFTER_SECONDS)
        elif not request.is_fresh(response):  # deleted or private now
            await self.store.drop(request.key)


async def _receive_empty_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse_stream(_message: Message) -> None:
    raise ValueError("A stream cannot be built in the background.")
