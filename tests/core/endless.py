"""The site with two pages more: a stream that ends only when the server stops, and what it takes its scheme for."""

from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.core.lifetime import stopping
from app.main import create_app as create_site


def create_app() -> FastAPI:
    app = create_site()
    app.add_api_route("/endless", endless)
    app.add_api_route("/scheme", scheme)
    return app


async def endless(request: Request) -> StreamingResponse:
    return StreamingResponse(_until_stopped(request.app))


async def scheme(request: Request) -> str:
    return request.url.scheme


async def _until_stopped(app: FastAPI) -> AsyncIterator[str]:
    yield "begun\n"
    await stopping(app).wait()
    yield "ended\n"
