"""Two pages: a stream that ends only when the server stops, and what it takes its scheme for."""

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
    return app


async def endless(request: Request) -> StreamingResponse:
    return StreamingResponse(_until_stopped(request.app))


async def scheme(request: Request) -> str:
    return request.url.scheme


async def _until_stopped(app: FastAPI) -> AsyncIterator[str]:
    yield "begun\n"
    await shutting_down(app).wait()
    yield "ended\n"
