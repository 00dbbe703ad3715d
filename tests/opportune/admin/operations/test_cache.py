"""The page of the response cache."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI
from httpx import AsyncClient

from opportune.config.project import installed_features
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.testing.factories import signed_in_client
from opportune.testing.quiet_app import quiet_app
from opportune.web.cache import Cache, cached
from opportune.web.cache.store import CacheLookup
from opportune.web.routing.cached_route import CachedRoute, Counts

# no statement is sent here that is not sent elsewhere
pytestmark = pytest.mark.database("sqlite")


@cached(60, stale=300)
async def kept() -> str:
    return "a page"


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with a page that is kept. Sites of tests have routes in common: router and counts are its own."""
    router = APIRouter()
    router.get("/kept")(kept)
    app = quiet_app(settings, (*installed_features(), Feature(name="keeping", summary="For tests.", pages=router)))
    for route in app.router.routes:
        if isinstance(route, CachedRoute):
            route.counts = Counts()
    async with app.router.lifespan_context(app):
        yield app


def built(app: FastAPI) -> int:
    """How often the page was built."""
    routes = [route for route in app.router.routes if isinstance(route, CachedRoute)]
    return next(route for route in routes if route.path == "/kept").counts.built


async def test_it_shows_superusers_how_often_pages_came_from_the_cache_and_before_the_first_request_no_rate(
    admin: AsyncClient, client: AsyncClient, app: FastAPI
) -> None:
    assert "%" not in (await admin.get("/admin/cache")).text

    for _ in range(4):
        await client.get("/kept")

    page = (await admin.get("/admin/cache")).text

    assert "75%" in page
    assert "<code>/kept</code>" in page
    assert "60 s, 300 s" in page
    assert "in memory" in page

    async with signed_in_client(app) as user:
        for method in ("GET", "POST"):
            assert (await client.request(method, "/admin/cache")).status_code == 303
            assert (await user.request(method, "/admin/cache", data={"tag": "*"})).status_code == 403


async def test_a_tag_is_cleared_and_nothing_else(app: FastAPI, admin: AsyncClient, client: AsyncClient) -> None:
    cache: Cache = app.state.cache
    before = await cache.store.find("x", ("<tag>",))
    await client.get("/kept")
    answer = await admin.post("/admin/cache", data={"tag": " <tag> "}, follow_redirects=True)
    await client.get("/kept")

    assert "“&lt;tag&gt;” were cleared" in answer.text
    assert await cache.store.find("x", ("<tag>",)) != before
    assert isinstance(before, CacheLookup)
    assert built(app) == 1


async def test_everything_is_cleared_and_without_a_tag_or_by_another_site_nothing(
    admin: AsyncClient, app: FastAPI, client: AsyncClient
) -> None:
    nothing: list[dict[str, str]] = [{}, {"tag": "  "}]
    for data in nothing:
        answer = await admin.post("/admin/cache", data=data, follow_redirects=True)
        assert "Enter the tag" in answer.text

    foreign = {"origin": "https://evil.example"}
    assert (await admin.post("/admin/cache", data={"tag": "*"}, headers=foreign)).status_code == 403

    await client.get("/kept")
    answer = await admin.post("/admin/cache", data={"tag": "*"}, follow_redirects=True)
    await client.get("/kept")

    assert "The cache was cleared." in answer.text
    assert built(app) == 2
