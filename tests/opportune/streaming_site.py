"""Pages of a server: a stream that ends only when it stops, what it takes its scheme for, and how far its loop is."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from opportune.server.shutdown import shutting_down, watch_signals


def create_site() -> FastAPI:
    """With all of the site beside them."""
    from opportune.application import create_app  # noqa: PLC0415 - for those who take the other one it would be most of the start

    return with_pages(create_app())


def create_app() -> FastAPI:
    app = FastAPI(lifespan=watch_signals)
    app.state.shutting_down = asyncio.Event()
    return with_pages(app)


def with_pages(app: FastAPI) -> FastAPI:
    app.add_api_route("/endless", endless)
    app.add_api_route("/scheme", scheme)
    app.add_api_route("/health/live", turn)  # which waits for no turn of its own
    return app


async def endless(request: Request) -> StreamingResponse:
    return StreamingResponse(_until_stopped(request.app))


async def scheme(request: Request) -> str:
    return request.url.scheme


async def turn(request: Request) -> int:
    """In which turn of the event loop it is asked, from the first time on."""
    state = request.app.state
    if not hasattr(state, "counting"):
        state.turns, state.counting = 0, asyncio.create_task(_count_turns(request.app))
    turns: int = state.turns
    return turns


async def _count_turns(app: FastAPI) -> None:
    while True:
        app.state.turns += 1
        await asyncio.sleep(0)


async def _until_stopped(app: FastAPI) -> AsyncIterator[str]:
    yield "begun\n"
    await shutting_down(app).wait()
    yield "ended\n"
