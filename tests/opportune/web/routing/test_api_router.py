"""Routes that are analysed on first use, and nested routers, whose routes permissions, OpenAPI and tools see."""

from collections.abc import AsyncIterator
from typing import Annotated

import fastapi
import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.exceptions import FastAPIError
from fastapi.responses import PlainTextResponse
from fastapi.sse import EventSourceResponse
from fastapi.testclient import TestClient
from httpx2 import AsyncClient
from starlette.routing import Route

from opportune.accounts import CurrentUser, User, may
from opportune.accounts.tokens.scopes import scope_labels
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.application import create_app
from opportune.config import Settings, installed_features
from opportune.contrib.tools import api_tools
from opportune.db import Database
from opportune.feature import Feature, Llm
from opportune.testing import make_token
from opportune.web.routing.api_router import APIRouter, LazyRoute, flatten
from tests.opportune.site_with import site_fixture


class Unknown:
    """Type without a schema."""


def shelves() -> APIRouter:
    router = APIRouter(prefix="/shelves", tags=["shelves"])

    @router.get("/{shelf}", status_code=201)
    async def read_shelf(shelf: int, page: Annotated[int, "of the list"] = 1) -> dict[str, int]:
        """Return a shelf."""
        return {"shelf": shelf, "page": page}

    @router.post("")
    async def create_shelf(name: str) -> str:
        return name

    return router


def test_request_analyses_only_its_route() -> None:
    app = FastAPI()
    app.router.routes += shelves().routes
    read, create = [route for route in app.router.routes if isinstance(route, LazyRoute)]
    response = TestClient(app).get("/shelves/4?page=2")
    assert (response.status_code, response.json()) == (201, {"shelf": 4, "page": 2})
    assert (read.is_analysed, create.is_analysed) == (True, False)
    assert read.description == "Return a shelf."


def test_site_in_development_reports_invalid_route() -> None:
    router = APIRouter()
    router.add_api_route("/odd", lambda: None, response_model=Unknown)
    features = [*installed_features(), Feature("odd", pages=router)]
    with pytest.raises(FastAPIError):
        create_app(Settings(_env_file=None, environment="development"), features)


async def nothing() -> None: ...


def test_route_responds_while_it_is_analysed() -> None:
    first, results = iter([True]), []

    def make_id(_route: object) -> str:
        if next(first, False):
            results.append((client.get("/").status_code, route.dependant))
        return "nothing"

    route = LazyRoute("/", nothing, generate_unique_id_function=make_id)
    client = TestClient(FastAPI(routes=[route]))
    assert client.get("/").status_code == 200
    assert [(status, dependant is route.dependant) for status, dependant in results] == [(200, True)]


def build_nested_routers() -> fastapi.APIRouter:
    books = fastapi.APIRouter(prefix="/books", tags=["books"], responses={410: {"description": "Lent"}})

    @books.get("/{book_id}", tags=["one"], responses={404: {"description": "No such book"}})
    async def read_book(book_id: int) -> str:
        return f"book {book_id}"

    @books.post("", dependencies=[Depends(nothing)], response_class=PlainTextResponse)
    async def create_book(title: str) -> str:
        return title

    @books.get("/events", response_class=EventSourceResponse)
    async def list_events() -> AsyncIterator[int]:
        yield 1

    @books.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.url.path)
        await socket.close()

    books.routes.append(Route("/books/plain", lambda request: PlainTextResponse(request.url.path)))
    floor = fastapi.APIRouter(prefix="/floor", default_response_class=PlainTextResponse)
    floor.include_router(books, prefix="/{room}", deprecated=True, tags=["room"], dependencies=[Depends(nothing)])
    house = fastapi.APIRouter(
        tags=["house"], generate_unique_id_function=lambda route: f"x{route.path_format.replace('/', '-')}"
    )
    house.include_router(floor)
    house.include_router(books, prefix="/hidden", include_in_schema=False)
    return house


def test_flat_routes_behave_like_nested_routes() -> None:
    flat, nested = FastAPI(), FastAPI()
    flat.include_router(flatten(build_nested_routers()))
    nested.include_router(build_nested_routers())
    assert flat.openapi() == nested.openapi()
    assert "/floor/{room}/books/{book_id}" in flat.openapi()["paths"]
    with TestClient(flat) as flat_client, TestClient(nested) as nested_client:
        for path in ("/floor/a/books/7", "/floor/a/books/x", "/hidden/books/7", "/books/7", "/floor/a/books/plain"):
            response, expected = flat_client.get(path), nested_client.get(path)
            assert (response.status_code, response.text) == (expected.status_code, expected.text)
        with flat_client.websocket_connect("/floor/a/books/live") as socket:
            assert socket.receive_text() == "/floor/a/books/live"


api, pages = fastapi.APIRouter(prefix="/shelves"), fastapi.APIRouter(prefix="/shelves")


@api.get("/mine")
async def list_shelves(user: CurrentUser) -> str:
    """List shelves."""
    return user.email


@api.post("/clear")
async def clear_shelves(user: CurrentUser) -> None: ...


@pages.get("/page")
async def show_shelves(user: CurrentUser) -> str:
    return "a page"


for endpoint in (list_shelves, clear_shelves, show_shelves):
    endpoint.__module__ = "app.shelves.api"


def build_feature() -> Feature:
    outer_api, outer_pages = fastapi.APIRouter(prefix="/house"), fastapi.APIRouter(prefix="/house")
    outer_api.include_router(api)
    outer_pages.include_router(pages)
    tools = Llm(tools=api_tools(outer_api, list_shelves, clear_shelves))
    return Feature("shelves", "Shelves.", api=outer_api, pages=outer_pages, llm=tools)


app = site_fixture(build_feature(), others=("accounts", "users", "jobs"))
API_PATH, PAGE_PATH = "/api/v1/house/shelves/mine", "/house/shelves/page"


async def test_openapi_has_scopes_of_nested_routes(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    assert [*paths[API_PATH]["get"]["security"][0].values()] == [["shelves:read"]]
    assert paths[API_PATH]["get"]["responses"].keys() == {"200", "401", "403"}
    assert PAGE_PATH not in paths
    assert {"shelves:read", "shelves:write"} <= scope_labels(app).keys()


async def test_nested_routes_require_user_and_scope(client: AsyncClient, database: Database, user: User) -> None:
    assert (await client.get(PAGE_PATH)).headers["location"].startswith("/accounts/login?")
    assert (await client.get(API_PATH)).status_code == 401
    for scopes, status in (("shelves:write", 403), ("shelves:read", 200)):
        headers = {"authorization": f"Bearer {await make_token(database, user, scopes)}"}
        assert (await client.get(API_PATH, headers=headers)).status_code == status


def test_dependencies_of_nested_routes_are_checked() -> None:
    inner, outer = fastapi.APIRouter(prefix="/inner"), fastapi.APIRouter(prefix="/outer")
    inner.post("/clear", dependencies=[may("shelves", "clear")])(nothing)
    outer.include_router(inner)
    faults = DeclaredPermissions([Feature("shelves", pages=outer)]).faults()
    assert "/outer/inner/clear: may('shelves', 'clear'): there is no model 'shelves' in an installed feature." in faults
