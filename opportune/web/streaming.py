"""Streaming of Markdown into a page, such as the answer of a language model.

The stream belongs to the request. If the visitor leaves or presses Stop, it is closed, and nothing is stored.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from typing import IO, Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from markupsafe import Markup
from starlette.types import Receive, Scope, Send

from opportune.errors import ServiceError
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.services.tasks import run_in_background
from opportune.web.forms.forms import Form
from opportune.web.rendering import markdown
from opportune.web.rendering.growing_markdown import MarkdownBlocks
from opportune.web.rendering.templates import is_htmx, templates

T = TypeVar("T")

logger = logging.getLogger(__name__)

UPDATE_INTERVAL_SECONDS = 0.08
"""Seconds between updates. Shorter intervals cost CPU without a visible effect."""
HEARTBEAT_INTERVAL_SECONDS = 15.0
"""Seconds of silence after which a heartbeat is sent, to detect dead connections and keep proxies from closing them."""
PART_BYTES = 65_536
MAX_INLINE_RENDER_LENGTH = 1_000
"""Longer texts are rendered in a thread, because they may take long."""

SEND_RAISES_VERSION = "2.4"
"""ASGI version from which `send` raises after a disconnect. uvicorn has an older one."""

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
SHUTTING_DOWN = _l("The answer was interrupted because the site is restarting. Ask again in a moment.")
CRASHED = _l("Something went wrong on our side. It has been logged.")
ERROR = Markup('<p class="text-danger" role="alert">{}</p>')


def stream_markdown(
    request: Request,
    pieces: AsyncGenerator[str, None],
    page: str = "answer.html",
    context: Mapping[str, Any] | None = None,
) -> Response:
    """Stream Markdown as safe HTML.

    A request of htmx gets server-sent events. Other requests get `page`, with the text at `{{ answer }}`. An error is
    shown below the text that has arrived.

    Args:
        request: The current request.
        pieces: Parts of the text. The generator is closed when the visitor leaves.
        page: Template of the page.
        context: Context of the template.
    """
    if is_htmx(request):
        return EventStream(_events(_updates(request, pieces)))
    placeholder = secrets.token_hex(16)
    html = templates.render_to_string(request, page, {**(context or {}), "answer": placeholder})
    before, _, after = html.partition(placeholder)
    return ClosingResponse(_page(before, _updates(request, pieces), after), headers=HEADERS, media_type="text/html")


def hx_partial(target: str, html: Markup, swap: str = "innerHTML") -> Markup:
    """Return a part of an htmx response or event that replaces the content of an element.

    Args:
        target: Id of the element.
        html: The new content.
        swap: Value of `hx-swap`, such as `beforeend`.
    """
    return Markup('<hx-partial hx-target="#{}" hx-swap="{}">{}</hx-partial>').format(target, swap, html)


class ClosingResponse(StreamingResponse):
    """Streaming response that always closes its generator.

    A second task waits for the disconnect. Starlette uses a task group, which takes 4 kB more per stream.
    """

    body_iterator: AsyncGenerator[str, None] | AsyncGenerator[bytes, None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        version = scope.get("asgi", {}).get("spec_version", "2.0")  # Starlette's TestClient names none
        if scope["type"] != "http" or version >= SEND_RAISES_VERSION:
            await super().__call__(scope, receive, send)
            return
        try:
            async with asyncio.timeout(None) as timeout:
                disconnect = asyncio.create_task(self._end_at_disconnect(receive, timeout))
                try:
                    await self.stream_response(send)
                finally:
                    disconnect.cancel()
        except TimeoutError:
            if not timeout.expired():
                raise
            await disconnect
        if self.background is not None:
            await self.background()

    async def _end_at_disconnect(self, receive: Receive, timeout: asyncio.Timeout) -> None:
        """Let the timeout expire when the client has left. After the response, this task is cancelled instead."""
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except Exception:  # without `finally`, because the timeout of a cancelled task has ended
            timeout.reschedule(0)
            raise
        timeout.reschedule(0)

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.body_iterator):
            async for chunk in self.body_iterator:
                body = chunk.encode(self.charset) if isinstance(chunk, str) else chunk
                await send({"type": "http.response.body", "body": body, "more_body": True})
                del chunk, body  # frees memory while hundreds of viewers wait
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def read_parts(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the content of a file for a response. The caller closes the file."""
    file.seek(0)
    while part := await asyncio.to_thread(file.read, PART_BYTES):
        yield part


class EventStream(ClosingResponse):
    """Response of server-sent events, as bytes from `fastapi.sse.format_sse_event`.

    FastAPI's `EventSourceResponse` takes two tasks and three times the CPU per event.
    """

    media_type = "text/event-stream"

    # OpenAPI reads the default of `status_code`.
    def __init__(self, events: AsyncGenerator[bytes, None], status_code: int = 200) -> None:
        super().__init__(events, status_code, headers=HEADERS)


async def _events(updates: AsyncGenerator[MarkdownBlocks, None]) -> AsyncGenerator[bytes, None]:
    """Yield events with new finished blocks, the open block on each update, and the complete text at the end."""
    name = f"answer-{secrets.token_hex(4)}"
    sent_count = 0
    skeleton = Markup('<div id="{0}"><div id="{0}-blocks"></div><div id="{0}-open"></div></div>').format(name)
    yield format_sse_event(data_str=skeleton)
    async with aclosing(updates):
        async for blocks in updates:
            new = Markup("").join(blocks.frozen[sent_count:])
            sent_count = blocks.frozen_count
            html = hx_partial(f"{name}-blocks", new, "beforeend") if new else Markup("")
            yield format_sse_event(data_str=html + hx_partial(f"{name}-open", blocks.open))
    yield format_sse_event(data_str=hx_partial(name, blocks.html))
    yield format_sse_event(data_str="done", event="done")


async def _page(
    before: str, updates: AsyncGenerator[MarkdownBlocks, None], after: str
) -> AsyncGenerator[str | bytes, None]:
    """Yield the page block by block, for browsers without JavaScript."""
    yield before
    sent_count = 0
    async with aclosing(updates):
        async for blocks in updates:
            yield Markup("").join(blocks.frozen[sent_count:]) or "\n"  # also a line break detects a closed connection
            sent_count = blocks.frozen_count
    yield after


async def _updates(request: Request, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[MarkdownBlocks, None]:
    """Yield the blocks after each update or heartbeat, and at the end."""
    blocks = MarkdownBlocks()
    errors = list[str]()
    with collect_errors(errors):
        async with aclosing(pace_items(request, pieces)) as batches:
            async for batch in batches:
                blocks.feed("".join(batch))
                await _render(blocks)
                yield blocks
    blocks.finish()
    await _render(blocks)
    blocks.frozen.extend(map(ERROR.format, errors))
    yield blocks


@contextmanager
def collect_errors(errors: list[str]) -> Iterator[None]:
    """Add a message for the visitor instead of raising. The headers are sent, so an error page is impossible."""
    try:
        yield
    except ServiceError as failure:
        errors.append(gettext(str(failure)))
    except Exception:
        logger.exception("stream into a page failed")
        errors.append(gettext(CRASHED))


async def _render(blocks: MarkdownBlocks) -> None:
    """Render long texts in a thread. `MarkdownBlocks` renders short ones when they are read."""
    if blocks.unrendered_chars > MAX_INLINE_RENDER_LENGTH:
        await markdown.in_thread(blocks.render)


async def pace_items(request: Request, items: AsyncGenerator[T, None]) -> AsyncGenerator[list[T], None]:
    """Yield lists of new items at a limited rate, and an empty list as heartbeat.

    Raises:
        ServiceError: The process stops, or the generator raised it.
    """
    new_items = list[T]()
    has_news = asyncio.Event()

    async def read() -> None:
        async with aclosing(items):
            async for item in items:
                new_items.append(item)
                has_news.set()

    reader = run_in_background(read())
    end = asyncio.create_task(request.app.state.shutting_down.wait())
    for task in (reader, end):
        task.add_done_callback(lambda _: has_news.set())
    try:
        while not reader.done() and not end.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_INTERVAL_SECONDS):
                    await has_news.wait()
            has_news.clear()
            batch = new_items.copy()
            new_items.clear()  # before the yield, during which more items may arrive
            yield batch
            if not reader.done():
                await asyncio.sleep(UPDATE_INTERVAL_SECONDS)
        yield new_items
        if not reader.done():
            raise ServiceError(SHUTTING_DOWN)
        await reader
    finally:
        reader.cancel()
        end.cancel()


def stream_form(
    request: Request,
    rows: AsyncGenerator[Any, None],
    form: Form[Any],
    page: str,
    context: Mapping[str, Any] | None = None,
) -> Response:
    """Fill a form again with each row, until the last one.

    A request of htmx gets the block `form` of the page as server-sent events. Other requests get the page with the last
    row. An error is shown in the form, whose fields keep their values.

    Args:
        request: The current request.
        rows: Objects or mappings, such as those of `llm.stream_parse`. The generator is closed when the visitor leaves.
        form: The form, which is `form` in the template.
        page: Template of the page.
        context: Context of the template.
    """
    context = {**(context or {}), "form": form}
    updates = _fill(request, rows, form)
    if is_htmx(request):
        return EventStream(_form_events(request, updates, page, context))
    return ClosingResponse(_form_page(request, updates, page, context), headers=HEADERS, media_type="text/html")


async def _fill(request: Request, rows: AsyncGenerator[Any, None], form: Form[Any]) -> AsyncGenerator[None, None]:
    """Fill the form, and yield after each update or heartbeat, and at the end."""
    errors = list[str]()
    with collect_errors(errors):
        async with aclosing(pace_items(request, rows)) as batches:
            async for batch in batches:
                if batch:
                    form.fill_from(batch[-1])
                yield
    for error in errors:
        form.refuse(error, status=503)
    yield


async def _form_events(
    request: Request, updates: AsyncGenerator[None, None], page: str, context: Mapping[str, Any]
) -> AsyncGenerator[bytes, None]:
    """Yield an event with the form after each update."""
    async with aclosing(updates):
        async for _ in updates:
            yield format_sse_event(data_str=templates.render_block_to_string(request, page, "form", context))
    yield format_sse_event(data_str="done", event="done")


async def _form_page(
    request: Request, updates: AsyncGenerator[None, None], page: str, context: Mapping[str, Any]
) -> AsyncGenerator[str, None]:
    """Yield line breaks before the page, to detect a visitor who leaves."""
    async with aclosing(updates):
        async for _ in updates:
            yield "\n"
    yield templates.render_to_string(request, page, context)
