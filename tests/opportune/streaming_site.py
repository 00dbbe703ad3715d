"""Site for tests of servers: an endless stream, the scheme, and the process."""

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from opportune.server.shutdown import shutting_down, watch_signals


def create_site() -> FastAPI:
    """Return the whole site with the additional routes."""
    from opportune.application import create_app  # slow to import

    return add_routes(create_app())


def create_app() -> FastAPI:
    app = FastAPI(lifespan=watch_signals)
    app.state.shutting_down = asyncio.Event()
    return add_routes(app)


def add_routes(app: FastAPI) -> FastAPI:
    app.add_api_route("/endless", endless)
    app.add_api_route("/scheme", show_scheme)
    app.add_api_route("/process", show_process)
    return app


async def endless(request: Request) -> StreamingResponse:
    return StreamingResponse(_stream_until_shutdown(request.app))


async def show_scheme(request: Request) -> str:
    return request.url.scheme


async def show_process() -> int:
    return os.getpid()


async def _stream_until_shutdown(app: FastAPI) -> AsyncIterator[str]:
    yield "begun\n"
    await shutting_down(app).wait()
    yield "ended\n"
