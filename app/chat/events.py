"""Server-sent events of an answer: HTML for the page, JSON for programs.

Both number their events `<message id>:<characters of text included>`, so that whoever lost the connection goes on from
there, at any process.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.sse import ServerSentEvent
from markupsafe import Markup

from app.chat.live_answer import LiveAnswer
from app.chat.models import Message, Status
from opportune.web import MarkdownBlocks, hx_partial

HAS_TEXT = {Status.DONE, Status.TRUNCATED, Status.STOPPED}

# A comment would not reach the page's scripts. Programs get one from FastAPI as often.
PING = ServerSentEvent(event="ping", raw_data="ping")


def parse_event_id(value: str | None) -> tuple[int, int] | None:
    """Parse `42:1234` as message and offset; None for anything else."""
    parts = (value or "").split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        return None
    return int(parts[0]), int(parts[1])


async def html_events(
    live: LiveAnswer, offset: int, render: Callable[[Message], Awaitable[str]]
) -> AsyncIterator[ServerSentEvent]:
    """Events for the page: finished blocks once, the open one as it grows, and at its end the answer as stored."""
    seen = -1
    async for text in live.growth(offset):
        if len(text) <= offset:
            yield PING
            continue
        if seen < 0:  # only now: of an answer that is followed there was nothing here before
            seen = MarkdownBlocks.of(text[:offset]).frozen_count
        blocks, offset = await live.blocks()
        new = Markup("").join(blocks.frozen[seen:])
        seen = blocks.frozen_count
        html = hx_partial(f"m{live.id}-blocks", new, "beforeend") if new else Markup("")
        html += hx_partial(f"m{live.id}-open", blocks.open)
        yield ServerSentEvent(raw_data=html, id=f"{live.id}:{offset}")
    if live.ended:
        article = Markup(await render(live.message))  # noqa: S704 - of our template
        yield ServerSentEvent(raw_data=hx_partial(f"m{live.id}", article, "outerHTML"), id=_id(live))
        yield ServerSentEvent(raw_data="done", event="done", id=_id(live))


async def json_events(live: LiveAnswer, offset: int) -> AsyncIterator[ServerSentEvent]:
    """Events for programs: `status`, then `delta` with `text`, then one `done` or one `error`."""
    yield _event("status", live, offset, status=live.message.status)
    async for text in live.growth(offset):
        if len(text) > offset:
            yield _event("delta", live, len(text), text=text[offset:])
            offset = len(text)
    if not live.ended:
        return
    message = live.message
    if message.status in HAS_TEXT:
        usage = {"prompt_tokens": message.prompt_tokens, "completion_tokens": message.completion_tokens}
        yield _event("done", live, offset, status=message.status, usage=usage)
    else:
        yield _event("error", live, offset, status=message.status, code=message.error_code, message=message.error)


def _event(kind: str, live: LiveAnswer, offset: int, **data: Any) -> ServerSentEvent:
    return ServerSentEvent(event=kind, id=f"{live.id}:{offset}", data={"message_id": live.id, **data})


def _id(live: LiveAnswer) -> str:
    return f"{live.id}:{len(live.message.text)}"
