"""The way from a request to an answer: fresh from the store, stale, built for another request, or built here."""

import asyncio
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

from opportune.db.drivers.replica import reads_fresh
from opportune.runtime.tasks import cancel_and_wait
from opportune.web.cache.cached_response import CachedResponse, ResponseCapture
from opportune.web.cache.rule import PERSONAL_HEADERS, key_of
from opportune.web.cache.store import CacheLookup, Store
from opportune.web.forms.submissions import is_shared_page
from opportune.web.rendering.flash import are_waiting
from opportune.web.time_zone import current_zone

if TYPE_CHECKING:
    from opportune.web.routing.cached_route import CachedRoute

logger = logging.getLogger(__name__)

BODY_HEADERS = {b"content-length", b"transfer-encoding"}
MAX_BACKGROUND_REFRESHES = 8
"""Answers built in the background at a time; others stay stale until a later request."""
BUILD_WAIT_SECONDS = 10.0
"""Seconds to wait for another process's answer before it is built here too."""
POLL_INTERVAL_SECONDS = 0.03
"""Seconds between two looks at whether it is there."""
RETRY_AFTER_SECONDS = 1.0
"""Seconds until a stale answer that could not be built anew is tried again."""

UserLoader = Callable[[Request], Awaitable[Any]]


async def nobody(_request: Request) -> None:
    """No user: for a process without visitors."""


class BuildEnd(Enum):
    """Why a build has nothing for those who waited for it."""

    PRIVATE = "its answer is another visitor's, or a stream"
    LEFT = "it was cancelled"


Outcome = CachedResponse | Exception | BuildEnd


@dataclass(frozen=True, slots=True)
class CachedRequest:
    """A request as a cached route sees it: without what the answer must not depend on, with its key and tags."""

    route: "CachedRoute"
    scope: Scope
    key: str
    tags: tuple[str, ...]

    def is_fresh(self, answer: CachedResponse) -> bool:
        return time.time() - answer.built_at < self.route.rule.seconds

    def will_do(self, answer: CachedResponse) -> bool:
        rule = self.route.rule
        return time.time() - answer.built_at < rule.seconds + rule.stale

    def work(self, found: CacheLookup) -> str:
        """Names the building: what was cleared is not waited for by those who come after."""
        return f"{self.key}:{':'.join(found.marks)}"


class Cache:
    """The response cache of a site.

    Args:
        store: Where they are.
        who: Finds the user of a request, for answers that are kept per user.
        is_enabled: False builds everything afresh.
        zone: Where its pages' times are shown: they are for visitors of all zones.
    """

    def __init__(self, store: Store, who: UserLoader, *, is_enabled: bool = True, zone: tzinfo = UTC) -> None:
        self.store = store
        self._zone = zone
        self.is_enabled = is_enabled
        self._who = who
        self._flights: dict[str, asyncio.Future[Outcome]] = {}
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._warned: set[str] = set()

    async def close(self) -> None:
        await cancel_and_wait(*self._refreshes.values())
        await self.store.close()

    async def clear(self, *tags: str) -> None:
        """Have what has one of these tags built anew. In memory that is this process's alone."""
        await self.store.clear(*tags)

    async def answer(self, route: "CachedRoute", scope: Scope, receive: Receive, send: Send) -> None:
        visit = await self._visit(route, scope)
        if visit is None:
            route.counts.bypassed += 1
            await route.app(scope, receive, send)
            return
        outcome: Outcome | None = BuildEnd.LEFT
        while outcome is BuildEnd.LEFT:
            found = await self._found(visit)
            outcome = await self._built(visit, found, receive, send) if isinstance(found, CacheLookup) else found
        if isinstance(outcome, CachedResponse):
            await outcome.send(scope, send)
        elif isinstance(outcome, Exception):
            raise HTTPException(500) from outcome  # logged by the request that it happened to
        elif outcome is BuildEnd.PRIVATE:
            route.counts.built += 1
            await route.app(visit.scope, receive, send)

    async def _visit(self, route: "CachedRoute", scope: Scope) -> CachedRequest | None:
        """None if the answer is not to come from what is kept."""
        rule, names = route.rule, {name for name, _ in scope["headers"]}
        is_personal = not names.isdisjoint(PERSONAL_HEADERS)
        if not self.is_enabled or not names.isdisjoint(BODY_HEADERS):
            return None
        if is_personal and (not rule.per_user or are_waiting(scope)):  # a page with a message is for one visit
            return None
        request = Request(scope)
        user = await self._who(request) if is_personal else None
        if getattr(request.state, "impersonator", None):  # their pages have a banner that the person's have not
            return None
        seen = {**scope, "headers": rule.headers_seen(scope), "query_string": rule.query_seen(scope)}
        return CachedRequest(
            route, seen, key_of(seen, str(user.id) if user else ""), rule.tags_of(scope["path_params"])
        )

    async def _found(self, visit: CachedRequest) -> CachedResponse | CacheLookup:
        """What is kept, if it will do; at least the state of its tags."""
        found = await self.store.find(visit.key, visit.tags)
        if found.answer is None or not visit.will_do(found.answer):
            return found
        if visit.is_fresh(found.answer):
            visit.route.counts.fresh += 1
        else:
            visit.route.counts.stale += 1
            self._refresh(visit, found)
        return found.answer

    async def _built(self, visit: CachedRequest, found: CacheLookup, receive: Receive, send: Send) -> Outcome | None:
        """The answer of this request's build, or of one that is under way. None: it has been sent already."""
        flight = self._flights.get(visit.work(found))
        if flight is None:
            return await self._fly(visit, found, receive, send)
        outcome = await asyncio.shield(flight)
        visit.route.counts.shared += isinstance(outcome, CachedResponse)
        return outcome

    async def _fly(
        self, visit: CachedRequest, found: CacheLookup, receive: Receive, send: Send
    ) -> CachedResponse | None:
        """Build, and tell those who come meanwhile what became of it."""
        work = visit.work(found)
        flight = self._flights[work] = asyncio.get_running_loop().create_future()
        outcome: Outcome = BuildEnd.LEFT
        try:
            answer = await self._elsewhere(visit, work)
            if answer is None:
                answer = await self._build(visit, found, receive, send)
            outcome = BuildEnd.PRIVATE if answer is None or answer.is_private else answer
        except Exception as error:
            outcome = error
            raise
        finally:
            del self._flights[work]
            flight.set_result(outcome)
            await self.store.release(work)
        return answer

    async def _elsewhere(self, visit: CachedRequest, work: str) -> CachedResponse | None:
        """Wait for the right to build. Another process's answer, if it comes first."""
        deadline = time.monotonic() + BUILD_WAIT_SECONDS
        while True:
            is_ours = await self.store.claim(work) or time.monotonic() > deadline
            found = await self.store.find(visit.key, visit.tags)
            if found.answer and visit.is_fresh(found.answer):
                visit.route.counts.shared += 1
                return found.answer
            if is_ours:
                return None
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def _build(
        self, visit: CachedRequest, found: CacheLookup, receive: Receive, send: Send
    ) -> CachedResponse | None:
        """Run the route. None if its answer was a stream, which `send` has got."""
        route, take = visit.route, ResponseCapture(send)
        token = reads_fresh.set(True)  # a replica's lag would be kept
        zone = current_zone.set(self._zone)  # the page is not this visitor's alone
        shared = is_shared_page.set(True)
        try:
            await route.app(visit.scope, receive, take)
        finally:
            is_shared_page.reset(shared)
            current_zone.reset(zone)
            reads_fresh.reset(token)
        route.counts.built += 1
        answer = take.answer
        if answer is None or not answer.may_be_kept(route.rule):
            self._warn(route, answer)
            return answer
        answer = answer.finished(route.rule)
        await self.store.keep(visit.key, answer, found, visit.tags, route.rule.seconds + route.rule.stale)
        return answer

    def _warn(self, route: "CachedRoute", answer: CachedResponse | None) -> None:
        if (answer is None or answer.status == 200) and route.path not in self._warned:
            self._warned.add(route.path)
            logger.warning("%s is marked as cached, but its answer is private, too long, or a stream", route.path)

    def _refresh(self, visit: CachedRequest, found: CacheLookup) -> None:
        work = visit.work(found)
        if work in self._flights or work in self._refreshes or len(self._refreshes) >= MAX_BACKGROUND_REFRESHES:
            return
        task = self._refreshes[work] = asyncio.create_task(self._refreshed(visit, found))
        task.add_done_callback(lambda _: self._refreshes.pop(work))

    async def _refreshed(self, visit: CachedRequest, found: CacheLookup) -> None:
        try:
            async with AsyncExitStack() as stack:
                # The request's own is closed by now.
                visit.scope["fastapi_middleware_astack"] = stack
                answer = await self._fly(visit, found, _nothing_more, _refuse)
        except Exception:  # the visitor has got the stale answer
            logger.exception("%s could not be built anew", visit.route.path)
            answer = None
        if answer is None or answer.status >= 500:
            await asyncio.sleep(RETRY_AFTER_SECONDS)
        elif not visit.is_fresh(answer):  # gone, or private by now
            await self.store.drop(visit.key)


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse(_message: Message) -> None:
    raise ValueError("a stream cannot be built in the background")
