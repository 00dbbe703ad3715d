"""Router and FastRouter respond like FastAPI's router."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Request, WebSocket
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute
from httpx import ASGITransport, AsyncClient, Response
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Mount, Route

from opportune.web.cache import cached
from opportune.web.routing.cached_route import CachedRoute
from opportune.web.routing.fast_router_adapter import FastRouter
from opportune.web.routing.router import Router

WAYS = [Router, FastRouter]


class Loud(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def loud(request: Request) -> Any:
            answer = await handle(request)
            answer.headers["x-loud"] = "yes"
            return answer

        return loud


async def note_first(request: Request) -> None:
    request.state.notes = ["first"]


async def note_second(request: Request) -> None:
    request.state.notes.append("second")


def things() -> APIRouter:
    router = APIRouter(prefix="/things", tags=["things"], dependencies=[Depends(note_second)])

    @router.get("")
    async def all_things(request: Request) -> list[str]:
        notes: list[str] = request.state.notes
        return notes

    @router.post("", status_code=201, summary="Make a thing")
    async def make_thing(title: str) -> dict[str, str]:
        return {"title": title}

    @router.get("/new")
    async def new_thing() -> str:
        return "new"

    @router.get("/{number}", name="thing")
    async def one_thing(number: int) -> int:
        return number

    @router.get("/{number}/parts/{path:path}")
    async def part(number: int, path: str) -> str:
        return f"{number}: {path}"

    @router.get("/late", deprecated=True, responses={404: {"description": "Too late"}})
    async def never_reached() -> str:
        return "late"

    return router


def loud() -> APIRouter:
    router = APIRouter(route_class=Loud)

    @router.get("/loud")
    async def answer() -> str:
        return "loud"

    return router


async def sign(signature: Annotated[str, Body()]) -> str:
    return signature


def letters() -> APIRouter:
    router = APIRouter(generate_unique_id_function=lambda route: f"letters-{route.path}")

    @router.post("/letters", responses={409: {"model": list[str]}})
    async def write(text: Annotated[str, Body()], to: Annotated[str, Body()]) -> list[str]:
        return [text, to]

    return router


def nested() -> APIRouter:
    outer = APIRouter(prefix="/outer")
    outer.include_router(things())
    return outer


async def plain_text(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.scope['root_path']} {request.path_params}")


class Pair(NamedTuple):
    ours: FastAPI
    theirs: FastAPI


def fill(app: FastAPI, take: Callable[..., None]) -> None:
    take(things(), dependencies=[Depends(note_first)])
    take(loud(), "/api")
    take(letters(), "/api", dependencies=[Depends(sign)])
    take(nested(), "/nested", dependencies=[Depends(note_first)])
    app.mount("/static", Mount("", routes=[Route("/{name:path}", plain_text)]), name="static")
    app.router.routes.append(Mount("/{tenant}/files", routes=[Route("/{name}", plain_text)]))
    app.router.routes.append(Host("other.example", PlainTextResponse("another host")))

    @app.head("/both", include_in_schema=False)
    @app.get("/both")
    async def both() -> str:
        return "both"

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.websocket("/things/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()

    @app.get("/{word}/last", include_in_schema=False)
    async def last(word: str) -> str:
        return word


@pytest.fixture(params=WAYS)
def pair(request: pytest.FixtureRequest) -> Pair:
    ours, theirs = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    ours.router = router = request.param(dependency_overrides_provider=ours)
    fill(ours, router.include_flat)
    fill(theirs, lambda router, prefix="", **options: theirs.include_router(router, prefix=prefix, **options))
    return Pair(ours, theirs)


class Browsers(NamedTuple):
    ours: AsyncClient
    theirs: AsyncClient

    async def both(self, method: str, path: str, **options: Any) -> tuple[Response, Response]:
        return await self.ours.request(method, path, **options), await self.theirs.request(method, path, **options)


@pytest.fixture
async def browsers(pair: Pair) -> AsyncIterator[Browsers]:
    async with AsyncExitStack() as stack:
        opened = [AsyncClient(transport=ASGITransport(app), base_url="http://testserver") for app in pair]
        yield Browsers(*[await stack.enter_async_context(browser) for browser in opened])


def told(response: Response) -> tuple[int, str, dict[str, str]]:
    """Return the comparable parts of a response. The methods in `Allow` are sorted."""
    headers = dict(response.headers)
    headers["allow"] = " ".join(sorted(headers.get("allow", "").split(", ")))
    return response.status_code, response.text, headers


REQUESTS = [
    ("GET", "/things", 200),
    ("POST", "/things?title=One", 201),
    ("POST", "/things", 422),
    ("GET", "/things/new", 200),
    ("GET", "/things/7", 200),
    ("GET", "/things/late", 422),
    ("GET", "/things/7/parts/a/b", 200),
    ("GET", "/things/7/parts", 307),
    ("GET", "/things/", 307),
    ("GET", "/things/7/", 307),
    ("GET", "/thingsandmore", 404),
    ("GET", "/thing", 404),
    ("GET", "/things%2F7", 200),
    ("DELETE", "/things", 405),
    ("DELETE", "/things/7", 405),
    ("HEAD", "/things", 405),
    ("HEAD", "/both", 200),
    ("OPTIONS", "/both", 405),
    ("GET", "/slash", 307),
    ("GET", "/slash/", 200),
    ("GET", "/things/socket", 422),
    ("GET", "/nested/outer/things", 200),
    ("GET", "/nested/outer/things/7", 200),
    ("PUT", "/nested/outer/things", 405),
    ("GET", "/nested/outer/things/", 307),
    ("GET", "/api/loud", 200),
    ("GET", "/loud", 404),
    ("GET", "/static/a/b.css", 200),
    ("GET", "/static", 307),
    ("GET", "/acme/files/a.txt", 200),
    ("GET", "/things/files/a.txt", 200),
    ("GET", "/any/last", 200),
    ("GET", "/static/last", 200),
    ("GET", "/nothing/here", 404),
    ("GET", "/", 404),
    ("GET", "/{word}/last", 200),
    ("GET", "/openapi.json", 404),
]


NAMED: list[tuple[str, dict[str, Any], str]] = [
    ("thing", {"number": 7}, "/things/7"),
    ("all_things", {}, "/things"),
    ("static", {"path": "/a.css"}, "/static/a.css"),
    ("both", {}, "/both"),
]


async def test_responses_and_openapi_equal_fastapi(browsers: Browsers, pair: Pair) -> None:
    for method, path, status in REQUESTS:
        ours, theirs = await browsers.both(method, path)
        assert told(ours) == told(theirs), (method, path)
        assert ours.status_code == status, (method, path)

    ours, theirs = await browsers.both("GET", "/whatever", headers={"host": "other.example"})
    assert told(ours) == told(theirs)
    assert ours.text == "another host"

    assert (await browsers.ours.get("/things")).json() == ["first", "second"]

    letter = {"text": "Come", "to": "Ann"}
    for sent, status in ((letter, 422), (letter | {"signature": "Bob"}, 200)):
        ours, theirs = await browsers.both("POST", "/api/letters", json=sent)
        assert told(ours) == told(theirs)
        assert ours.status_code == status

    assert (await browsers.ours.get("/api/loud")).headers["x-loud"] == "yes"

    assert pair.ours.openapi() == pair.theirs.openapi()
    assert len(pair.ours.openapi()["paths"]) == 14

    for name, values, path in NAMED:
        assert pair.ours.url_path_for(name, **values) == pair.theirs.url_path_for(name, **values) == path

    async def note_other(request: Request) -> None:
        request.state.notes = ["other"]

    for app in pair:
        app.dependency_overrides[note_first] = note_other
    ours, theirs = await browsers.both("GET", "/things")
    assert ours.json() == theirs.json() == ["other", "second"]


@pytest.mark.parametrize("way", WAYS)
async def test_router_dependencies_run_first(way: type[Router]) -> None:
    app = FastAPI()
    app.router = router = way(dependencies=[Depends(note_first)])
    router.include_flat(things())
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as browser:
        assert (await browser.get("/things")).json() == ["first", "second"]


async def answer() -> str:
    return "added"


def take(app: FastAPI, router: APIRouter) -> None:
    assert isinstance(app.router, Router)
    app.router.include_flat(router)


def by_decorator(app: FastAPI, path: str) -> None:
    app.get(path)(answer)


def by_router(app: FastAPI, path: str) -> None:
    router = APIRouter()
    router.get(path)(answer)
    app.include_router(router)


def by_hand(app: FastAPI, path: str) -> None:
    app.router.routes.insert(0, APIRoute(path, answer))


async def test_route_added_later_is_found(pair: Pair, browsers: Browsers) -> None:
    for path, add in (("/one", by_decorator), ("/two", by_router), ("/added", by_hand)):
        assert (await browsers.ours.get(path)).status_code == 404
        add(pair.ours, path)
        assert (await browsers.ours.get(path)).json() == "added"
    pair.ours.router.routes[0] = APIRoute("/replaced", answer)
    assert (await browsers.ours.get("/added")).status_code == 404
    assert (await browsers.ours.get("/replaced")).status_code == 200


async def test_router_lifespan_runs(pair: Pair) -> None:
    told_of: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        told_of.append("start")
        yield
        told_of.append("stop")

    router = APIRouter(lifespan=lifespan)
    router.get("/added")(answer)
    take(pair.ours, router)
    async with pair.ours.router.lifespan_context(pair.ours):
        assert told_of == ["start"]
    assert told_of == ["start", "stop"]


async def test_included_route_keeps_options(pair: Pair, browsers: Browsers, tmp_path: Path) -> None:
    router = APIRouter()
    router.get("/added", include_in_schema=False)(answer)
    take(pair.ours, router)
    assert "/added" not in pair.ours.openapi()["paths"]

    router = APIRouter()
    router.get("")(answer)
    with pytest.raises(FastAPIError, match="cannot be both empty"):
        take(pair.ours, router)

    async def one_kept() -> str:
        return "kept"

    router = APIRouter()
    router.get("/kept/{number}", dependencies=[Depends(note_second)])(cached(60, tags=["thing:{number}"])(one_kept))
    assert isinstance(pair.ours.router, Router)
    pair.ours.router.include_flat(router, "/api", [Depends(note_first)])
    (route,) = (route for route in pair.ours.routes if isinstance(route, CachedRoute))
    assert route.path == "/api/kept/{number}"
    assert [item.call for item in route.dependant.dependencies] == [note_first, note_second]

    (tmp_path / "index.html").write_text("files")
    router = APIRouter()
    router.frontend("/shop", directory=tmp_path)
    take(pair.ours, router)
    assert (await browsers.ours.get("/shop/")).text == "files"


async def test_first_matching_route_wins(pair: Pair, browsers: Browsers) -> None:
    for app in pair:
        app.get("/{rest:path}")(answer)
        app.get("/too-late")(lambda: "late")
    ours, theirs = await browsers.both("GET", "/too-late")
    assert ours.json() == theirs.json() == "added"
    ours, theirs = await browsers.both("GET", "/things/7")
    assert ours.json() == theirs.json() == 7


async def test_root_path_keeps_routes(pair: Pair) -> None:
    answers = []
    for app in pair:
        app.get("/{rest:path}")(answer)
        transport = ASGITransport(app, root_path="/site")
        async with AsyncClient(transport=transport, base_url="http://testserver") as browser:
            paths = ("/site/things/new", "/site/whatever", "/things/new")
            answers.append([told(await browser.get(path)) for path in paths])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("pair", [FastRouter], indirect=True)
async def test_only_candidate_routes_are_matched(pair: Pair, browsers: Browsers) -> None:
    matched: list[str] = []

    class Asking(APIRoute):
        def matches(self, scope: Any) -> Any:
            matched.append(self.path)
            return super().matches(scope)

    routes: list[BaseRoute] = [Asking(path, answer) for path in ("/one", "/one/{x}", "/two", "/{x}/three")]
    pair.ours.router.routes[:0] = routes
    await browsers.ours.get("/two")
    assert matched == ["/two"]
    await browsers.ours.get("/one/three")
    assert matched == ["/two", "/one", "/one/{x}"]


async def test_include_dependency_gets_path_parameters(pair: Pair, browsers: Browsers) -> None:
    async def doubled(number: int) -> int:
        return 2 * number

    for app in pair:
        router = APIRouter()

        @router.get("/double/{number}")
        async def double(doubled: Annotated[int, Depends(doubled)]) -> int:
            return doubled

        take(app, router) if app is pair.ours else app.include_router(router)
    ours, theirs = await browsers.both("GET", "/double/4")
    assert ours.json() == theirs.json() == 8
