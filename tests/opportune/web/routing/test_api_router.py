"""Routes that are analysed on first use."""

from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.project.layout import installed_features
from opportune.web.routing.api_router import APIRouter, LazyRoute


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


def lazy_routes(router: Any) -> list[LazyRoute]:
    return [route for route in router.routes if isinstance(route, LazyRoute)]


def test_request_analyses_only_its_route() -> None:
    app = FastAPI()
    app.router.routes += shelves().routes
    read, create = lazy_routes(app)
    response = TestClient(app).get("/shelves/4?page=2")
    assert (response.status_code, response.json()) == (201, {"shelf": 4, "page": 2})
    assert (read.is_analysed, create.is_analysed) == (True, False)
    assert read.description == "Return a shelf."


def test_openapi_is_that_of_fastapi() -> None:
    lazy, plain = FastAPI(), FastAPI()
    lazy.include_router(shelves())
    eager = shelves()
    eager.routes = [APIRoute(route.path, route.endpoint, **vars(route)["options"]) for route in lazy_routes(eager)]
    plain.include_router(eager)
    assert lazy.openapi() == plain.openapi()


def test_invalid_route_fails_at_each_use() -> None:
    router = APIRouter()
    router.add_api_route("/odd", lambda: None, response_model=Unknown)
    for _ in range(2):
        with pytest.raises(FastAPIError):
            lazy_routes(router)[0].analyse()


def test_site_in_development_reports_invalid_route() -> None:
    router = APIRouter()
    router.add_api_route("/odd", lambda: None, response_model=Unknown)
    with pytest.raises(FastAPIError):
        create_app(
            Settings(_env_file=None, environment="development"), [*installed_features(), Feature("odd", pages=router)]
        )
