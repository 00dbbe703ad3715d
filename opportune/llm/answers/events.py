"""Server-sent events of an answer: HTML for pages, JSON for programs.

Both number their events `<id>:<characters of text included>`, so that whoever lost the connection goes on from there,
at any process.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from markupsafe import Markup, escape

from opportune.llm.answers.citations import cite
from opportune.llm.answers.live import LiveAnswer
from opportune.llm.answers.models import Answer, AnswerStatus
from opportune.web import MarkdownBlocks, hx_partial, templates

HAS_TEXT = {AnswerStatus.DONE, AnswerStatus.TRUNCATED, AnswerStatus.STOPPED}

REASONING_LABEL = "Reasoning"
"""What the fold of the reasoning says when the model has begun to write."""
MAX_CLOSING_LENGTH = 16
"""Characters of tags that mostly end a block, which stand elsewhere when it has grown."""

# One encoder for all: `json.dumps` makes one each time.
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# A comment would not reach the page's scripts, as programs get one as often.
PING = format_sse_event(event="ping", data_str="ping")


async def answer_gone() -> AsyncGenerator[bytes, None]:
    """Events for pages whose answer is no longer theirs: htmx would ask again for ever after any other answer."""
    yield format_sse_event(event="done", data_str="gone")


def tools_html(live: LiveAnswer) -> Markup:
    """The calls of an answer, as pages show them."""
    template = templates.environment.get_template("answers/tools.html")
    return Markup(template.render(row=live.answer, runs=live.tool_runs))  # noqa: S704 - of our template


def _reasoning_html(element: str, live: LiveAnswer, seen: int) -> Markup:
    """The reasoning that a page has not seen: all of it replaces what is there, and the rest is appended."""
    html = hx_partial(f"{element}-reasoning", escape(live.reasoning[seen:]), "beforeend" if seen else "innerHTML")
    if live.text:
        html += hx_partial(f"{element}-reasoning-label", escape(REASONING_LABEL))
    return html


def _difference(before: str, after: str) -> tuple[int, str]:
    """UTF-16 units that both begin with, and what follows them in the second."""
    low, high = 0, min(len(before), len(after))
    if after.startswith(before[: high - MAX_CLOSING_LENGTH]):
        low = max(0, high - MAX_CLOSING_LENGTH)
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == after[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low if after.isascii() else len(after[:low].encode("utf-16-le")) // 2, after[low:]


def parse_event_id(value: str | None) -> tuple[int, int] | None:
    """Parse `42:1234` as id and offset. None for anything else."""
    parts = (value or "").split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        return None
    return int(parts[0]), int(parts[1])


@dataclass(frozen=True)
class AnswerStream:
    """An answer to stream from an offset in characters."""

    view: AbstractAsyncContextManager[LiveAnswer]
    """By `answers.view`: it is let go of when the stream ends, or its viewer has left."""
    offset: int
    id: int
    """The answer's, or that of a feature's row that stands for it: events and elements are named by it."""

    async def html(
        self, render: Callable[[Answer], Awaitable[str]], prefix: str = "answer-"
    ) -> AsyncGenerator[bytes, None]:
        """Events for a page: `grow` with what is new, and at its end the answer as `render`ed.

        What is new goes to the elements `<prefix><id>-blocks` and `-open` (static/answers.js), and the end in the place
        of `<prefix><id>`. `grow` has `[keep, html]` for each block that is finished, and for the open one: so many
        UTF-16 units of what stood in the open one, then this.
        """
        offset, seen = self.offset, -1
        async with self.view as live:
            tools_seen = -1 if live.tool_runs else 0  # the page may be older than they are
            shown, reasoned, is_labelled = "", 0, False
            async for text in live.growth(offset):
                news = Markup()
                if live.tools_seen > tools_seen:
                    tools_seen = live.tools_seen
                    news += hx_partial(f"{prefix}{self.id}-tools", tools_html(live))
                if len(live.reasoning) > reasoned or (reasoned and text and not is_labelled):
                    news += _reasoning_html(f"{prefix}{self.id}", live, reasoned)
                    reasoned, is_labelled = len(live.reasoning), bool(text)
                if news:
                    yield format_sse_event(data_str=news, id=f"{self.id}:{offset}")
                elif len(text) <= offset:
                    yield PING
                if len(text) <= offset:
                    continue
                if seen < 0:  # only now: of an answer that is followed there was nothing here before
                    seen = MarkdownBlocks.of(text[:offset]).frozen_count
                blocks, offset = await live.blocks()
                sources = live.answer.sources
                # No Markup: that takes ten times as long to cut.
                new = [str(cite(block, sources)) for block in (*blocks.frozen[seen:], blocks.open)]
                grown = [_difference(shown, new[0]), *((0, block) for block in new[1:])]
                seen, shown = blocks.frozen_count, new[-1]
                yield format_sse_event(event="grow", data_str=to_json(grown), id=f"{self.id}:{offset}")
            if live.ended:
                end = f"{self.id}:{len(live.answer.text)}"
                whole = Markup(await render(live.answer))  # noqa: S704 - of our template
                yield format_sse_event(data_str=hx_partial(f"{prefix}{self.id}", whole, "outerHTML"), id=end)
                yield format_sse_event(data_str="done", event="done", id=end)

    async def json(self, key: str = "answer_id") -> AsyncGenerator[bytes, None]:
        """Events for programs: `status`, then `delta` with `text`, then one `done` or one `error`.

        A `status` of "waiting" has `tools` of which the owner has to allow some; it goes on when they have. Reasoning
        comes as `reasoning` of a `status`, to be put at `reasoning_offset`: a resumed stream begins with all of it.
        """
        offset, reasoned = self.offset, 0
        async with self.view as live:
            tools_seen = -1 if live.tool_runs else 0

            def event(kind: str, **data: Any) -> bytes:
                return format_sse_event(event=kind, id=f"{self.id}:{offset}", data_str=to_json({key: self.id, **data}))

            yield event("status", status=live.answer.status)
            async for text in live.growth(offset):
                if live.tools_seen > tools_seen:
                    tools_seen = live.tools_seen
                    yield event("status", status=live.answer.status, tools=live.tool_runs)
                elif len(text) <= offset and len(live.reasoning) <= reasoned:
                    yield KEEPALIVE_COMMENT
                if reasoning := live.reasoning[reasoned:]:
                    yield event("status", status=live.answer.status, reasoning=reasoning, reasoning_offset=reasoned)
                    reasoned += len(reasoning)
                if len(text) > offset:
                    new, offset = text[offset:], len(text)
                    yield event("delta", text=new)
            if not live.ended:
                return
            answer = live.answer
            if answer.status in HAS_TEXT:
                usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
                yield event("done", status=answer.status, usage=usage, sources=answer.sources)
            else:
                yield event("error", status=answer.status, code=answer.error_code, message=answer.error)
