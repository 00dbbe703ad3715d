"""The site with one page more: a stream that ends only when the server stops."""

from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.core.lifetime import stopping
from app.main import create_app as create_site


def create_app() -> FastAPI:
    app = create_site()
    app.add_api_route("/endless", endless)
    return app


async def endless(request: Request) -> StreamingResponse:
    return StreamingResponse(_until_stopped(request.app))


async def _until_stopped(app: FastAPI) -> AsyncIterator[str]:
    yield "begun\n"
    await stopping(app).wait()
    yield "ended\n"
