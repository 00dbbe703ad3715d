"""Direct routes do not skip dependencies of outer routers."""

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from httpx import ASGITransport, AsyncClient
from starlette.responses import PlainTextResponse, Response

from opportune.web.routing.direct_route import DirectRoute, set_direct
from opportune.web.routing.fast_router_adapter import FastRouter
from opportune.web.routing.router import Router


async def refuse() -> None:
    raise HTTPException(403)


def site(kind: type[Router]) -> Router:
    async def usual() -> Response:
        return PlainTextResponse("usual")

    async def direct(request: Request) -> Response:
        return PlainTextResponse("direct")

    set_direct(usual, direct)
    feature = APIRouter()
    feature.add_api_route("/books", usual, route_class_override=DirectRoute)
    made = kind()
    made.include_flat(feature)
    return made


async def ask(router: APIRouter, path: str) -> tuple[int, str]:
    app = FastAPI()
    app.router.routes = router.routes
    async with AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        response = await client.get(path)
    return response.status_code, response.text


@pytest.mark.parametrize("kind", [Router, FastRouter])
@pytest.mark.parametrize("outer", [APIRouter, Router, FastRouter])
async def test_outer_router_keeps_dependencies(kind: type[Router], outer: type[APIRouter]) -> None:
    inner, around = site(kind), outer()
    assert await ask(inner, "/books") == (200, "direct")
    around.include_router(inner, prefix="/inside", dependencies=[Depends(refuse)])
    assert (await ask(around, "/inside/books"))[0] == 403
    assert await ask(inner, "/books") == (200, "direct")


@pytest.mark.parametrize("kind", [Router, FastRouter])
async def test_router_with_site_routes_keeps_dependencies(kind: type[Router]) -> None:
    around = kind()
    around.include_flat(site(kind), "/inside", dependencies=[Depends(refuse)])
    assert (await ask(around, "/inside/books"))[0] == 403
