"""Site with one cached route, which counts its builds and can hold them back."""

import asyncio
from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from httpx2 import ASGITransport, AsyncClient
from starlette.responses import PlainTextResponse

from opportune.web.cache import cached
from opportune.web.cache.builds import Build, Builds, CacheItem
from opportune.web.cache.responses import ResponseCache, Viewer
from opportune.web.cache.store import CacheLookup, Store
from opportune.web.forms.hidden_fields import TEAM_KEY
from opportune.web.routing.router import CachedRoute, Router
from tests.opportune.waiting import wait_until

OF_TEAM = "of a team"
"""Text of a page whose route reads the team of the user."""


async def read_viewer(request: Request) -> Viewer:
    request.state.user = request.cookies.get("session")
    return request.state.user, request.cookies.get("may")


class CountingBuilds(Builds):
    lookups = 0

    async def _look_up(self, item: CacheItem, refresh: Build) -> CacheLookup:
        result = await super()._look_up(item, refresh)
        self.lookups += 1
        return result


class Shop:
    def __init__(self, store: Store) -> None:
        self.cache = ResponseCache(store, read_viewer)
        self.cache.builds = self.counted = CountingBuilds(store)
        self.builds = 0
        self.text = "first"
        self.status = 200
        self.headers: dict[str, str] = {}
        self.error: Exception | None = None
        self.may_finish = asyncio.Event()
        """Set while builds may finish."""
        self.may_finish.set()
        self.route: CachedRoute

    async def build(self, request: Request) -> Response:
        self.builds += 1
        text = self.text
        await self.may_finish.wait()
        if self.error:
            raise self.error
        if self.status >= 400:
            raise HTTPException(self.status, text)
        if text == OF_TEAM:
            setattr(request.state, TEAM_KEY, "1")
        user = getattr(request.state, "user", None) or "anonymous"
        text = f"{text} {request.url.query} {dict(request.headers)} {user}"
        return PlainTextResponse(text, self.status, self.headers)

    def client(self, path: str = "/things", seconds: float = 60, **rule: Any) -> AsyncClient:
        @cached(seconds, **rule)
        async def things(request: Request) -> Response:
            return await self.build(request)

        return self.client_of(things, path)

    def client_of(self, endpoint: Any, path: str = "/things") -> AsyncClient:
        app = FastAPI(openapi_url=None)
        app.router = router = Router(dependency_overrides_provider=app)
        app.state.cache = self.cache
        inner = APIRouter()
        inner.add_api_route(path, endpoint, methods=["GET"])
        router.include_flat(inner)
        (self.route,) = (route for route in router.routes if isinstance(route, CachedRoute))
        return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://testserver")


async def get_concurrently(client: AsyncClient, shop: Shop, number: int) -> list[httpx2.Response]:
    """Send requests. No response is built before all of them have looked it up."""
    shop.may_finish.clear()
    before = shop.counted.lookups
    responses = asyncio.gather(*(client.get("/things") for _ in range(number)))
    await wait_until(lambda: shop.counted.lookups == before + number)
    shop.may_finish.set()
    return await responses
