"""Text that streams into a page while it is written, as a language model's answer does.

It belongs to the request: who leaves, or presses Stop, stops the model, and nothing is kept.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from markupsafe import Markup
from starlette.types import Receive, Scope, Send

from opportune.errors import ServiceError
from opportune.web.rendering import markdown
from opportune.web.rendering.growing_markdown import MarkdownBlocks
from opportune.web.rendering.templates import is_htmx, templates

logger = logging.getLogger(__name__)

UPDATE_INTERVAL_SECONDS = 0.08
"""Seconds between two updates to a viewer: more often costs much and shows nothing. Less than ten words a second take,
so that each of those is sent as it comes."""
HEARTBEAT_INTERVAL_SECONDS = 15.0
"""After so long without news something is sent all the same: a connection that died says nothing either, and a proxy
takes a silent one for dead."""
MAX_INLINE_RENDER_LENGTH = 1_000
"""Characters that are rendered between two others' requests: a text may be made to take long, then a thread does it."""

SENDS_TELL_VERSION = "2.4"
"""Of ASGI: from then on `send` raises once the visitor has left. uvicorn's says nothing."""

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
SHUTTING_DOWN = "The answer broke off, since the site is being restarted. Ask again in a moment."
CRASHED = "Something went wrong on our side. It has been logged."
ERROR = Markup('<p class="text-danger" role="alert">{}</p>')


def stream_markdown(
    request: Request,
    pieces: AsyncGenerator[str, None],
    page: str = "answer.html",
    context: Mapping[str, Any] | None = None,
) -> Response:
    """Stream Markdown as safe HTML: into the page that asked by htmx, else into `page` where that has `{{ answer }}`.

    What goes wrong on the way is a sentence below what has come. `pieces` is closed when the visitor leaves.
    """
    if is_htmx(request):
        return EventStream(_events(_updates(request, pieces)))
    place = secrets.token_hex(16)
    before, _, after = templates.render_to_string(request, page, {**(context or {}), "answer": place}).partition(place)
    return _ClosingResponse(_page(before, _updates(request, pieces), after), headers=HEADERS, media_type="text/html")


def hx_partial(target: str, html: Markup, swap: str = "innerHTML") -> Markup:
    """A part of a htmx answer, or of an event, that goes to the element with this id."""
    return Markup('<hx-partial hx-target="#{}" hx-swap="{}">{}</hx-partial>').format(target, swap, html)


class _ClosingResponse(StreamingResponse):
    """Closes what it sends when it ends, however that is: a generator that waits for its reader would be left open.

    The task of its request sends it, and another waits for who leaves: Starlette's two in a group take 4 kB more.
    """

    body_iterator: AsyncGenerator[str, None] | AsyncGenerator[bytes, None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["asgi"].get("spec_version", "2.0") >= SENDS_TELL_VERSION:
            await super().__call__(scope, receive, send)
            return
        try:
            async with asyncio.timeout(None) as limit:
                leaving = asyncio.create_task(self._end_when_left(receive, limit))
                try:
                    await self.stream_response(send)
                finally:
                    leaving.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
            await leaving
        if self.background is not None:
            await self.background()

    async def _end_when_left(self, receive: Receive, limit: asyncio.Timeout) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except Exception:
            limit.reschedule(0)
            raise
        limit.reschedule(0)

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.body_iterator):
            async for piece in self.body_iterator:
                body = piece.encode(self.charset) if isinstance(piece, str) else piece
                await send({"type": "http.response.body", "body": body, "more_body": True})
                del piece, body  # each of hundreds of viewers would keep its last
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class EventStream(_ClosingResponse):
    """Server-sent events, each as bytes: `fastapi.sse.format_sse_event` makes them.

    FastAPI's own way to send them takes two tasks, and three times the processor time for an event.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], status_code: int = 200) -> None:  # as OpenAPI looks it up
        super().__init__(events, status_code, headers=HEADERS)


async def _events(updates: AsyncGenerator[MarkdownBlocks, None]) -> AsyncGenerator[bytes, None]:
    """Finished blocks once, the open one as it grows, and at the end the whole."""
    name, seen = f"answer-{secrets.token_hex(4)}", 0
    skeleton = Markup('<div id="{0}"><div id="{0}-blocks"></div><div id="{0}-open"></div></div>').format(name)
    yield format_sse_event(data_str=skeleton)
    async with aclosing(updates):
        async for blocks in updates:
            new, seen = Markup("").join(blocks.frozen[seen:]), blocks.frozen_count
            html = hx_partial(f"{name}-blocks", new, "beforeend") if new else Markup("")
            yield format_sse_event(data_str=html + hx_partial(f"{name}-open", blocks.open))
    yield format_sse_event(data_str=hx_partial(name, blocks.whole))
    yield format_sse_event(data_str="done", event="done")


async def _page(
    before: str, updates: AsyncGenerator[MarkdownBlocks, None], after: str
) -> AsyncGenerator[str | bytes, None]:
    """The page, which a browser shows as far as it has come: block by block."""
    yield before
    seen = 0
    async with aclosing(updates):
        async for blocks in updates:
            yield Markup("").join(blocks.frozen[seen:]) or "\n"
            seen = blocks.frozen_count
    yield after


async def _updates(request: Request, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[MarkdownBlocks, None]:
    """The text so far, each time that it has grown, now and then without, and as it ended."""
    blocks, error = MarkdownBlocks(), ""
    try:
        async with aclosing(_paced(pieces, request.app.state.shutting_down)) as texts:
            async for text in texts:
                blocks.feed(text)
                await _render(blocks)
                yield blocks
    except ServiceError as refusal:
        error = str(refusal)
    except Exception:
        logger.exception("a stream of Markdown")  # the edge: its headers have gone, so there is no page to say so
        error = CRASHED
    blocks.finish()
    await _render(blocks)
    if error:
        blocks.frozen.append(ERROR.format(error))
    yield blocks


async def _render(blocks: MarkdownBlocks) -> None:
    if blocks.waiting > MAX_INLINE_RENDER_LENGTH:
        await markdown.in_thread(blocks.render)


async def _paced(pieces: AsyncGenerator[str, None], shutting_down: asyncio.Event) -> AsyncGenerator[str, None]:
    """What has come since the last time, at a bounded pace; nothing where nothing came for long."""
    parts, news = list[str](), asyncio.Event()

    async def read() -> None:
        async with aclosing(pieces):
            async for piece in pieces:
                parts.append(piece)
                news.set()

    reader, end = asyncio.create_task(read()), asyncio.create_task(shutting_down.wait())
    for task in (reader, end):
        task.add_done_callback(lambda _: news.set())
    reader.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to look at it
    try:
        while not reader.done() and not end.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_INTERVAL_SECONDS):
                    await news.wait()
            news.clear()
            yield "".join(parts)
            parts.clear()
            if not reader.done():
                await asyncio.sleep(UPDATE_INTERVAL_SECONDS)
        yield "".join(parts)
        if not reader.done():
            raise ServiceError(SHUTTING_DOWN)
        await reader
    finally:
        reader.cancel()
        end.cancel()
