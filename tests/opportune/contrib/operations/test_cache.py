"""The response cache page."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient

from opportune.config import Settings, installed_features
from opportune.feature import Feature
from opportune.testing.app import create_test_app
from opportune.testing.factories import signed_in_client
from opportune.web.cache import Cache, cached
from opportune.web.cache.counts import Counts
from opportune.web.cache.store import CacheLookup
from opportune.web.routing.router import CachedRoute


@cached(60, stale=300)
async def cached_page() -> str:
    return "a page"


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """Site with a cached page. Hit counts are reset, because all sites of a process share the routes of features."""
    router = APIRouter()
    router.get("/cached")(cached_page)
    app = create_test_app(settings, (*installed_features(), Feature("caching", "For tests.", pages=router)))
    for route in app.router.routes:
        if isinstance(route, CachedRoute):
            route.counts = Counts()
    async with app.router.lifespan_context(app):
        yield app


def render_count(app: FastAPI) -> int:
    """Return how often the page was rendered."""
    routes = [route for route in app.router.routes if isinstance(route, CachedRoute)]
    return next(route for route in routes if route.path == "/cached").counts.built


async def test_cache_page_shows_hit_rate_to_superusers(admin: AsyncClient, client: AsyncClient, app: FastAPI) -> None:
    assert "%" not in (await admin.get("/admin/cache")).text
    for _ in range(4):
        await client.get("/cached")
    page = (await admin.get("/admin/cache")).text
    assert "75%" in page
    assert "<code>/cached</code>" in page
    assert "60 s, 300 s" in page
    assert "in memory" in page
    async with signed_in_client(app) as user:
        for method in ("GET", "POST"):
            assert (await client.request(method, "/admin/cache")).status_code == 303
            assert (await user.request(method, "/admin/cache", data={"tag": "*"})).status_code == 403


async def test_only_the_tag_is_cleared(app: FastAPI, admin: AsyncClient, client: AsyncClient) -> None:
    cache: Cache = app.state.cache
    lookup = await cache.store.find("x", ("<tag>",))
    await client.get("/cached")
    response = await admin.post("/admin/cache", data={"tag": " <tag> "}, follow_redirects=True)
    await client.get("/cached")
    assert "“&lt;tag&gt;” were cleared" in response.text
    assert await cache.store.find("x", ("<tag>",)) != lookup
    assert isinstance(lookup, CacheLookup)
    assert render_count(app) == 1


async def test_cache_is_cleared(admin: AsyncClient, app: FastAPI, client: AsyncClient) -> None:
    without_tag: list[dict[str, str]] = [{}, {"tag": "  "}]
    for data in without_tag:
        response = await admin.post("/admin/cache", data=data, follow_redirects=True)
        assert "Enter the tag" in response.text
    foreign = {"origin": "https://evil.example"}
    assert (await admin.post("/admin/cache", data={"tag": "*"}, headers=foreign)).status_code == 403
    await client.get("/cached")
    response = await admin.post("/admin/cache", data={"tag": "*"}, follow_redirects=True)
    await client.get("/cached")
    assert "The cache was cleared." in response.text
    assert render_count(app) == 2
