"""Direct handlers respond without dependency resolution, unless an outer router has dependencies."""

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from httpx2 import ASGITransport, AsyncClient
from starlette.responses import PlainTextResponse, Response

from opportune.web.routing.direct_route import DirectRoute, set_direct
from opportune.web.routing.fast_router_adapter import FastRouter
from opportune.web.routing.router import Router


async def refuse() -> None:
    raise HTTPException(403)


def build_site_router(router_class: type[Router]) -> Router:
    """Return a router whose route says whether FastAPI or the direct handler has responded."""

    async def endpoint() -> Response:
        return PlainTextResponse("FastAPI")

    async def direct(request: Request) -> Response:
        return PlainTextResponse("direct")

    set_direct(endpoint, direct)
    feature_router = APIRouter()
    feature_router.add_api_route("/books", endpoint, route_class_override=DirectRoute)
    site_router = router_class()
    site_router.include_flat(feature_router)
    return site_router


async def get(router: APIRouter, path: str) -> tuple[int, str]:
    app = FastAPI()
    app.router.routes = router.routes
    async with AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        response = await client.get(path)
    return response.status_code, response.text


@pytest.mark.parametrize("router_class", [Router, FastRouter])
@pytest.mark.parametrize("outer_class", [APIRouter, Router, FastRouter])
async def test_outer_router_keeps_dependencies(router_class: type[Router], outer_class: type[APIRouter]) -> None:
    inner, outer = build_site_router(router_class), outer_class()
    assert await get(inner, "/books") == (200, "direct")
    outer.include_router(inner, prefix="/inner", dependencies=[Depends(refuse)])
    assert (await get(outer, "/inner/books"))[0] == 403
    assert await get(inner, "/books") == (200, "direct")


@pytest.mark.parametrize("router_class", [Router, FastRouter])
async def test_copied_site_routes_keep_dependencies(router_class: type[Router]) -> None:
    outer = router_class()
    outer.include_flat(build_site_router(router_class), "/inner", dependencies=[Depends(refuse)])
    assert (await get(outer, "/inner/books"))[0] == 403
