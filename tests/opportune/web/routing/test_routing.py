"""The router responds like FastAPI's."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.web.cache import cached
from opportune.web.routing.router import CachedRoute, Router
from tests.opportune.web.routing.compared_apps import (
    Apps,
    Clients,
    apps,
    clients,
    comparable,
    note_first,
    note_second,
    things,
)

__all__ = ["apps", "clients"]  # fixtures


async def test_limits_of_bodies_and_forms_are_kept(clients: Clients) -> None:
    for path, options, status in (
        ("/things/note", {"content": b"1" * 10}, 200),
        ("/things/note", {"content": b"1" * 11}, 413),
        ("/things/form", {"data": {"title": "One"}}, 200),
        ("/things/form", {"data": {"title": "One", "more": "Two"}}, 400),
    ):
        ours, fastapi = await clients.request("POST", path, **options)
        assert (ours.status_code, fastapi.status_code) == (status, status), path


STATUSES = (
    dict.fromkeys(("/things", "/things/7", "/things/7/doubled", "/things/7/parts/a/b", "/things%2F7"), 200)
    | dict.fromkeys(("/nested/outer/things", "/api/loud", "/static/a/b.css", "/acme/files/a.txt", "/any/last"), 200)
    | {"/things/": 307, "/slash": 307, "/thingsandmore": 404, "/": 404, "/things/late": 422, "/things/socket": 422}
)
OTHER_METHODS = (("POST", "/things?title=One", 201), ("POST", "/things", 422), ("DELETE", "/things", 405))


async def test_responses_equal_fastapi(clients: Clients) -> None:
    of_get = (("GET", path, status) for path, status in STATUSES.items())
    for method, path, status in (*of_get, *OTHER_METHODS, ("HEAD", "/both", 200)):
        ours, fastapi = await clients.request(method, path)
        assert comparable(ours) == comparable(fastapi), (method, path)
        assert ours.status_code == status, (method, path)


async def test_head_works_wherever_get_does(clients: Clients) -> None:
    for path, status in {**STATUSES, "/endless": 200}.items():
        head = await clients.ours.head(path)
        assert (head.status_code, head.text) == (status, ""), path
    assert (await clients.ours.head("/things")).headers == (await clients.ours.get("/things")).headers


async def test_body_of_included_dependency_is_required(clients: Clients) -> None:
    letter = {"text": "Come", "to": "Ann"}
    for body, status in ((letter, 422), (letter | {"signature": "Bob"}, 200)):
        ours, fastapi = await clients.request("POST", "/api/letters", json=body)
        assert comparable(ours) == comparable(fastapi)
        assert ours.status_code == status


async def test_openapi_and_named_urls_equal_fastapi(apps: Apps) -> None:
    assert apps.ours.openapi() == apps.fastapi.openapi()
    assert apps.ours.openapi()["paths"]
    named_routes: dict[str, tuple[str, dict[str, Any]]] = {"/things": ("list_things", {}), "/both": ("both", {})} | {
        "/things/7": ("thing", {"number": 7}),
        "/static/a.css": ("static", {"path": "/a.css"}),
    }
    for path, (name, values) in named_routes.items():
        assert apps.ours.url_path_for(name, **values) == apps.fastapi.url_path_for(name, **values) == path


async def test_router_dependencies_run_first() -> None:
    app = FastAPI()
    app.router = router = Router(dependencies=[Depends(note_first)])
    router.include_flat(things)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        assert (await client.get("/things")).json() == ["first", "second"]


async def endpoint() -> str:
    return "added"


async def test_cached_route_keeps_dependencies(apps: Apps) -> None:
    async def read_thing() -> str:
        return "cached"

    router = APIRouter()
    router.get("/cached/{number}", dependencies=[Depends(note_second)])(cached(60, tags=["thing:{number}"])(read_thing))
    assert isinstance(apps.ours.router, Router)
    apps.ours.router.include_flat(router, "/api", [Depends(note_first)])
    (route,) = (route for route in apps.ours.routes if isinstance(route, CachedRoute))
    assert route.path == "/api/cached/{number}"
    assert [dependency.call for dependency in route.dependant.dependencies] == [note_first, note_second]


async def test_routes_below_root_path_equal_fastapi(apps: Apps) -> None:
    responses = []
    for app in apps:
        app.get("/{rest:path}")(endpoint)
        transport = ASGITransport(app, root_path="/site")
        async with AsyncClient(transport=transport, base_url="http://testserver") as client:
            paths = ("/site/things/new", "/site/whatever", "/things/new")
            responses.append([comparable(await client.get(path)) for path in paths])
    assert responses[0] == responses[1]
