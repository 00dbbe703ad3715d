"""A site with one cached route that does as a test says."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from httpx import ASGITransport, AsyncClient
from httpx import Response as Answer
from starlette.responses import PlainTextResponse

from opportune.web.cache import Cache, cached
from opportune.web.cache.cache import CachedRequest
from opportune.web.cache.cached_response import CachedResponse as Kept
from opportune.web.cache.store import CacheLookup, Store
from opportune.web.routing.cached_route import CachedRoute
from opportune.web.routing.fast_router_adapter import FastRouter


class User:
    def __init__(self, name: str) -> None:
        self.id = name


async def who(request: Request) -> User | None:
    """Signed in is whose cookie says so."""
    name = request.cookies.get("session")
    request.state.user = User(name) if name else None
    user: User | None = request.state.user
    return user


class CountingCache(Cache):
    looked = 0
    """Requests that have been looked up."""

    async def _found(self, visit: CachedRequest) -> Kept | CacheLookup:
        found = await super()._found(visit)
        self.looked += 1
        return found


class Shop:
    def __init__(self, store: Store) -> None:
        self.cache = CountingCache(store, who)
        self.builds = 0
        self.text = "first"
        self.status = 200
        self.headers: dict[str, str] = {}
        self.fault: Exception | None = None
        self.open = asyncio.Event()
        """Builds wait for it."""
        self.open.set()
        self.route: CachedRoute

    async def build(self, request: Request) -> Response:
        self.builds += 1
        text = self.text
        await self.open.wait()
        if self.fault:
            raise self.fault
        if self.status >= 400:
            raise HTTPException(self.status, text)
        user = getattr(request.state, "user", None)
        text = f"{text} {request.url.query} {dict(request.headers)} {user.id if user else 'nobody'}"
        return PlainTextResponse(text, self.status, self.headers)

    def client(self, path: str = "/things", seconds: float = 60, **rule: Any) -> AsyncClient:
        """A browser without cookies, at a site whose route has this rule."""

        @cached(seconds, **rule)
        async def things(request: Request) -> Response:
            return await self.build(request)

        return self.client_of(things, path)

    def client_of(self, endpoint: Any, path: str = "/things") -> AsyncClient:
        app = FastAPI(openapi_url=None)
        app.router = router = FastRouter(dependency_overrides_provider=app)
        app.state.cache = self.cache
        own = APIRouter()
        own.add_api_route(path, endpoint, methods=["GET"])
        router.include_flat(own)
        (self.route,) = (route for route in router.routes if isinstance(route, CachedRoute))
        return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://testserver")


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.001)


async def ask_at_once(client: AsyncClient, shop: Shop, number: int) -> list[Answer]:
    """Their requests have all come before the first is answered."""
    shop.open.clear()
    before = shop.cache.looked
    asking = asyncio.gather(*(client.get("/things") for _ in range(number)))
    await until(lambda: shop.cache.looked == before + number)
    shop.open.set()
    return await asking
