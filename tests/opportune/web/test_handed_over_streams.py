"""Event streams that are sent when all that has made them is over."""

import logging
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request, Response
from httpx import ASGITransport, AsyncClient
from starlette.background import BackgroundTask
from starlette.middleware.base import RequestResponseEndpoint

from opportune.settings import Settings
from opportune.testing.quiet_app import quiet_app
from opportune.web import EventStream
from opportune.web.middleware import streams
from opportune.web.middleware.streams import StreamsMiddleware

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def app() -> FastAPI:
    site = FastAPI()
    site.add_middleware(StreamsMiddleware)
    return site


async def body_of(app: FastAPI, path: str = "/stream") -> str:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        return (await client.get(path)).text


def add_watched_stream(app: FastAPI) -> None:
    """One that tells whether its request is still held, as it is by each layer that waits for the end of the answer."""

    @app.get("/stream")
    async def stream(request: Request) -> EventStream:
        seen = weakref.ref(request)

        async def events() -> AsyncGenerator[bytes, None]:
            yield b"gone" if seen() is None else b"held"

        return EventStream(events())


async def test_nothing_of_what_has_made_a_stream_is_held_while_it_is_sent(app: FastAPI) -> None:
    add_watched_stream(app)
    assert await body_of(app) == "gone"


async def test_without_the_private_stacks_a_stream_is_sent_from_where_it_was_made(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "forget_stacks", streams._keep_stacks)
    add_watched_stream(app)
    assert await body_of(app) == "held"


async def test_what_a_dependency_closes_is_open_until_the_stream_has_ended(app: FastAPI) -> None:
    told = list[str]()

    async def resource() -> AsyncIterator[list[str]]:
        yield told
        told.append("closed")

    @app.get("/stream")
    async def stream(told: Annotated[list[str], Depends(resource)]) -> EventStream:
        async def events() -> AsyncGenerator[bytes, None]:
            yield b"one"
            told.append("sent")

        return EventStream(events())

    assert await body_of(app) == "one"
    assert told == ["sent", "closed"]


async def one() -> AsyncGenerator[bytes, None]:
    yield b"one"


async def test_a_layer_that_looks_at_answers_sees_the_stream(app: FastAPI) -> None:
    inner = FastAPI()

    @inner.middleware("http")
    async def look(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-seen"] = "yes"
        return response

    @inner.get("/stream")
    async def stream() -> EventStream:
        return EventStream(one())

    app.mount("/inner", inner)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        response = await client.get("/inner/stream")
    assert (response.text, response.headers["x-seen"]) == ("one", "yes")


async def test_what_follows_a_stream_is_done_after_it(app: FastAPI) -> None:
    told = list[str]()

    @app.get("/stream")
    async def stream() -> EventStream:
        async def events() -> AsyncGenerator[bytes, None]:
            yield b"one"
            told.append("sent")

        response = EventStream(events())
        response.background = BackgroundTask(told.append, "after it")
        return response

    await body_of(app)
    assert told == ["sent", "after it"]


async def test_on_the_site_a_stream_that_breaks_is_cut_and_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    site = quiet_app(settings, [])

    @site.get("/stream")
    async def stream() -> EventStream:
        async def events() -> AsyncGenerator[bytes, None]:
            yield b"one"
            raise ValueError("of the stream")

        return EventStream(events())

    caplog.set_level(logging.INFO, "opportune.request")
    async with site.router.lifespan_context(site):
        with pytest.raises(AssertionError):  # httpx: an answer without an end
            await body_of(site)
    crash, line = [record for record in caplog.records if record.name == "opportune.request"]
    assert crash.getMessage() == "failed while sending"
    assert "/stream 200" in line.getMessage()
