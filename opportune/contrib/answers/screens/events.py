"""Server-sent events of an answer: HTML for pages, JSON for API clients.

The id of an event is `<id>:<length of the text>`, so that a client can resume the stream in any process.
"""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from markupsafe import Markup, escape

from opportune.contrib.answers.engine.citations import cite
from opportune.contrib.answers.engine.live import Growth, LiveAnswer
from opportune.contrib.answers.engine.tool_runs import without_returned
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.i18n import gettext
from opportune.web import MarkdownBlocks, hx_partial, templates

MAX_CLOSING_LENGTH = 16
"""Maximum length of the closing tags, such as `</p>`, that follow new text of a block."""
EVENT_ID = re.compile(r"([0-9]{1,18}):([0-9]{1,18})")
HAS_TEXT = {AnswerStatus.DONE, AnswerStatus.TRUNCATED, AnswerStatus.STOPPED}

# A shared encoder, because `json.dumps` creates one per call.
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# An event, because the scripts of a page cannot read comments.
PING = format_sse_event(event="ping", data_str="ping")


class PageState:
    """Text, tool calls and reasoning that a page has received. The text is in finished blocks and an open block."""

    def __init__(self, element: str, live: LiveAnswer, offset: int) -> None:
        self.offset = offset
        self._element = element
        self._live = live
        self._frozen_count: int | None = None
        self._open_block = ""
        self._has_reasoning = False
        self._is_labelled = False

    async def next_changes(self) -> list[tuple[int, str]]:
        """Return the change of the open block, followed by new blocks."""
        live = self._live
        if self._frozen_count is None:  # the text of another process's answer is loaded only now
            self._frozen_count = MarkdownBlocks.of(live.text[: self.offset]).frozen_count
        blocks = await live.render_blocks()
        self.offset = live.rendered_length
        sources = live.answer.sources
        # str instead of Markup, whose slices are slow.
        new_blocks = [str(cite(block, sources)) for block in (*blocks.frozen[self._frozen_count :], blocks.open)]
        change = _difference(self._open_block, new_blocks[0])
        self._frozen_count = blocks.frozen_count
        self._open_block = new_blocks[-1]
        return [change, *((0, block) for block in new_blocks[1:])]

    def next_partials(self, growth: Growth) -> Markup:
        """Return the elements beside the text that have changed."""
        partials = Markup()
        if growth.has_new_calls:
            template = templates.environment.get_template("answers/tools.html")
            html = template.render(row=self._live.answer, runs=self._live.tool_runs)
            partials += hx_partial(f"{self._element}-tools", Markup(html))  # noqa: S704 - HTML of a template
        if growth.reasoning:  # the first replaces a placeholder
            position = "beforeend" if self._has_reasoning else "innerHTML"
            partials += hx_partial(f"{self._element}-reasoning", escape(growth.reasoning), position)
            self._has_reasoning = True
        if self._has_reasoning and self._live.text and not self._is_labelled:
            partials += hx_partial(f"{self._element}-reasoning-label", escape(gettext("Reasoning")))
            self._is_labelled = True
        return partials


def _difference(before: str, after: str) -> tuple[int, str]:
    """Return the length of the common prefix in UTF-16 units, and the remainder of `after`."""
    shorter = min(len(before), len(after))
    length = max(0, shorter - MAX_CLOSING_LENGTH)  # usually the prefix ends shortly before the closing tags
    if not after.startswith(before[:length]):
        length = 0
    while length < shorter and before[length] == after[length]:
        length += 1
    utf16_length = length if after.isascii() else len(after[:length].encode("utf-16-le")) // 2
    return utf16_length, after[length:]


async def answer_gone() -> AsyncGenerator[bytes, None]:
    """Yield the event for an answer that was deleted. Without it, htmx would reconnect forever."""
    yield format_sse_event(event="done", data_str="gone")


class EventId(NamedTuple):
    """Id of an event, such as `42:1234`: of the row, and the characters of its text up to the event."""

    row_id: int
    offset: int


def parse_event_id(value: str | None) -> EventId | None:
    """Parse the id of an event. Return None for anything else."""
    match = EVENT_ID.fullmatch(value or "")
    return EventId(int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True)
class AnswerStream:
    """An answer to stream from an offset.

    Attributes:
        view: Result of `answers.view`, closed when the stream ends or the client disconnects.
        offset: Characters that the client already has.
        id: Id of the answer, or of a feature's row that represents it. Used in event ids and element ids.
    """

    view: AbstractAsyncContextManager[LiveAnswer]
    offset: int
    id: int

    async def html(
        self, render: Callable[[Answer], Awaitable[str]], prefix: str = "answer-"
    ) -> AsyncGenerator[bytes, None]:
        """Yield events for a page: `grow` with new text, and finally the rendered answer.

        A `grow` event contains `[keep, html]` for each newly finished block and for the open block: keep that many
        UTF-16 units of the previous open block and append the HTML. static/answers.js puts them into the elements
        `<prefix><id>-blocks` and `<prefix><id>-open`. The final HTML, by `render`, replaces `<prefix><id>`.
        """
        element = f"{prefix}{self.id}"
        async with self.view as live:
            page = PageState(element, live, self.offset)
            async for growth in live.follow(self.offset):
                if partials := page.next_partials(growth):
                    yield format_sse_event(data_str=partials, id=f"{self.id}:{page.offset}")
                elif growth.is_heartbeat:
                    yield PING
                if len(live.text) > page.offset:
                    changes = to_json(await page.next_changes())
                    yield format_sse_event(event="grow", data_str=changes, id=f"{self.id}:{page.offset}")
            if live.ended:
                end = f"{self.id}:{len(live.answer.text)}"
                html = Markup(await render(live.answer))  # noqa: S704 - HTML of a template
                yield format_sse_event(data_str=hx_partial(element, html, "outerHTML"), id=end)
                yield format_sse_event(data_str="done", event="done", id=end)

    async def json(self, key: str = "answer_id") -> AsyncGenerator[bytes, None]:
        """Yield events for API clients: `status`, `delta` with `text`, then one `done` or `error`.

        The text before a tool call comes before the `status` event with the call.
        A `status` event may have `tools` (tool calls; with status "waiting", some need an approval) or `reasoning`,
        which starts at `reasoning_offset`. A resumed stream sends the complete reasoning again. The field `key` is
        the id.
        """
        offset = self.offset
        reasoning_length = 0

        def encode(name: str, offset: int, **data: Any) -> bytes:
            return format_sse_event(event=name, id=f"{self.id}:{offset}", data_str=to_json({key: self.id, **data}))

        async with self.view as live:
            yield encode("status", offset, status=live.answer.status)
            async for growth in live.follow(offset):
                status = live.answer.status
                if growth.is_heartbeat:
                    yield KEEPALIVE_COMMENT
                if growth.has_new_calls:
                    yield encode("status", offset, status=status, tools=without_returned(live.tool_runs))
                if growth.reasoning:
                    details = {"reasoning": growth.reasoning, "reasoning_offset": reasoning_length}
                    yield encode("status", offset, status=status, **details)
                    reasoning_length += len(growth.reasoning)
                if growth.text:
                    offset += len(growth.text)
                    yield encode("delta", offset, text=growth.text)
            if not live.ended:
                return
            answer = live.answer
            if answer.status in HAS_TEXT:
                usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
                yield encode("done", offset, status=answer.status, usage=usage, sources=answer.sources)
            else:
                yield encode(
                    "error", offset, status=answer.status, code=answer.error_code, message=gettext(answer.error)
                )
