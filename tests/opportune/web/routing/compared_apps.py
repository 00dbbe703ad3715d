"""The same routes with a router of this project, and with FastAPI's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any, NamedTuple

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Form, Request, WebSocket
from fastapi.routing import APIRoute
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from opportune.web.routing.router import Router


class LoudRoute(APIRoute):
    """Route class that adds a header."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handle_loudly(request: Request) -> Any:
            response = await handle(request)
            response.headers["x-loud"] = "yes"
            return response

        return handle_loudly


async def note_first(request: Request) -> None:
    request.state.notes = ["first"]


async def note_second(request: Request) -> None:
    request.state.notes.append("second")


async def double(number: int) -> int:
    return 2 * number


dependencies = [Depends(note_second)]
things = APIRouter(prefix="/things", tags=["things"], dependencies=dependencies, form_limits={"max_fields": 1})


@things.get("")
async def list_things(request: Request) -> list[str]:
    notes: list[str] = request.state.notes
    return notes


@things.post("", status_code=201, summary="Make a thing")
async def create_thing(title: str) -> dict[str, str]:
    return {"title": title}


@things.post("/note", max_body_size=10)
async def save_note(request: Request) -> int:
    return len(await request.body())


@things.post("/form")
async def save_form(title: Annotated[str, Form()]) -> str:
    return title


@things.get("/new")
async def show_thing_form() -> str:
    return "new"


@things.get("/{number}", name="thing")
async def read_thing(number: int) -> int:
    return number


@things.get("/{number}/doubled")
async def read_twice(doubled: Annotated[int, Depends(double)]) -> int:
    return doubled


@things.get("/{number}/parts/{path:path}")
async def read_part(number: int, path: str) -> str:
    return f"{number}: {path}"


@things.get("/late", deprecated=True, responses={404: {"model": list[str]}})
async def never_reached() -> str:
    return "late"


loud = APIRouter(route_class=LoudRoute)


@loud.get("/loud")
async def shout() -> str:
    return "loud"


async def read_signature(signature: Annotated[str, Body()]) -> str:
    return signature


letters = APIRouter(generate_unique_id_function=lambda route: f"letters-{route.path}")


@letters.post("/letters", responses={409: {"model": list[str]}})
async def send_letter(text: Annotated[str, Body()], to: Annotated[str, Body()]) -> list[str]:
    return [text, to]


outer = APIRouter(prefix="/outer")
outer.include_router(things)


async def show_path(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.scope['root_path']} {request.path_params}")


class Apps(NamedTuple):
    """The same routes with a router of this project, and with FastAPI's."""

    ours: FastAPI
    fastapi: FastAPI


def add_routes(app: FastAPI, include: Callable[..., None]) -> None:
    include(things, dependencies=[Depends(note_first)])
    include(loud, prefix="/api")
    include(letters, prefix="/api", dependencies=[Depends(read_signature)])
    include(outer, prefix="/nested", dependencies=[Depends(note_first)])
    include(things, prefix="/hidden", dependencies=[Depends(note_first)], include_in_schema=False)
    app.mount("/static", Mount("", routes=[Route("/{name:path}", show_path)]), name="static")
    app.router.routes.append(Mount("/{tenant}/files", routes=[Route("/{name}", show_path)]))

    @app.head("/both", include_in_schema=False)
    @app.get("/both")
    async def both() -> str:
        return "both"

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.get("/endless", include_in_schema=False)
    async def endless() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            yield "first"
            await asyncio.Event().wait()

        return StreamingResponse(chunks())

    @app.websocket("/things/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()

    @app.get("/{word}/last", include_in_schema=False)
    async def last(word: str) -> str:
        return word


@pytest.fixture
def apps() -> Apps:
    ours, fastapi = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    ours.router = router = Router(dependency_overrides_provider=ours)
    add_routes(ours, router.include_flat)
    add_routes(fastapi, fastapi.include_router)
    return Apps(ours, fastapi)


class Clients(NamedTuple):
    ours: AsyncClient
    fastapi: AsyncClient

    async def request(self, method: str, path: str, **options: Any) -> tuple[Response, Response]:
        return await self.ours.request(method, path, **options), await self.fastapi.request(method, path, **options)


@pytest.fixture
async def clients(apps: Apps) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        opened = [AsyncClient(transport=ASGITransport(app), base_url="http://testserver") for app in apps]
        yield Clients(*[await stack.enter_async_context(client) for client in opened])


def comparable(response: Response) -> tuple[int, str, dict[str, str]]:
    """Return the comparable parts of a response. The methods in `Allow` are sorted."""
    headers = dict(response.headers)
    headers["allow"] = " ".join(sorted(headers.get("allow", "").split(", ")))
    return response.status_code, response.text, headers
