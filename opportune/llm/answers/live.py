"""Live answers: what is committed of a growing answer, in memory for any number of viewers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from opportune.llm.answers.models import Answer
from opportune.llm.answers.store import AnswerProgress
from opportune.web import MarkdownBlocks, markdown
from opportune.web.streaming import HEARTBEAT_INTERVAL_SECONDS, MAX_INLINE_RENDER_LENGTH

SILENCE_TIMEOUT_SECONDS = 40.0
"""A page that has heard nothing for so long takes its connection for dead: two heartbeats have not come."""


class LiveAnswer:
    """The committed part of a growing answer. Viewers hold an offset and wait, so a slow one costs no memory."""

    def __init__(self, begun: AnswerProgress) -> None:
        self.begun = begun
        """What was stored of it when this began."""
        self.answer = begun.answer
        self.tool_runs = begun.answer.tool_runs
        self.viewers = 0
        self.tools_seen = 0
        """How often these have changed."""
        self._parts = [begun.text]
        self._reasoning_parts = [begun.reasoning]
        self._blocks = MarkdownBlocks()
        self._fed = 0
        self._rendering: asyncio.Future[None] | None = None
        self._left = False
        self._waiting = list[asyncio.Future[bool]]()
        self._heartbeat: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Count a viewer: the answer is saved more often while it is viewed."""
        self.viewers += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.viewers -= 1

    @property
    def id(self) -> int:
        return self.answer.id

    @property
    def text(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0]

    @property
    def reasoning(self) -> str:
        """What the model has thought so far."""
        if len(self._reasoning_parts) > 1:
            self._reasoning_parts = ["".join(self._reasoning_parts)]
        return self._reasoning_parts[0]

    @property
    def ended(self) -> bool:
        return not self.answer.is_running

    async def blocks(self) -> tuple[MarkdownBlocks, int]:
        """The text so far as HTML, and its length, until the next `await`; rendered once for all viewers."""
        await self._settled()
        if new := self.text[self._fed :]:
            self._fed += len(new)
            self._blocks.feed(new)
            if self._blocks.waiting > MAX_INLINE_RENDER_LENGTH:
                self._rendering = markdown.in_thread(self._blocks.render)
            await self._settled()
        return self._blocks, self._fed

    async def _settled(self) -> None:
        while self._rendering and not self._rendering.done():
            await asyncio.shield(self._rendering)  # a viewer who leaves does not stop it for the others

    def add(self, text: str, reasoning: str = "") -> None:
        if text:
            self._parts.append(text)
        if reasoning:
            self._reasoning_parts.append(reasoning)
        if text or reasoning:
            self._notify()

    def note_tool_runs(self, runs: Sequence[dict[str, Any]]) -> None:
        """Show what the model has called."""
        if runs != self.tool_runs:
            self.tool_runs = [*runs]
            self.tools_seen += 1
            self._notify()

    def wait(self, answer: Answer) -> None:
        """Show what a person has to allow, of an answer that waits as it is stored."""
        self.answer = answer
        self.note_tool_runs(answer.tool_runs)

    def end(self, answer: Answer) -> None:
        """End with the answer as it is stored."""
        self.answer = answer
        self._parts, self._reasoning_parts = [answer.text], [answer.reasoning]
        self._notify()

    def leave(self) -> None:
        """Send the viewers away, since the process stops: they find the rest at another one or after the restart."""
        self._left = True
        self._notify()

    async def growth(self, offset: int) -> AsyncIterator[str]:
        """Yield the text each time it is longer than what the viewer has, until the answer ends.

        Yield it unchanged when the reasoning has grown, when a tool has been called, and after
        `HEARTBEAT_INTERVAL_SECONDS` without news.
        """
        reasoned = 0
        tools_seen = -1 if self.tool_runs else 0  # the viewer may know of none: one may be what a person has to allow
        while True:
            if len(self.text) > offset or self.tools_seen > tools_seen or len(self.reasoning) > reasoned:
                offset, tools_seen, reasoned = len(self.text), self.tools_seen, len(self.reasoning)
                yield self.text
            elif self.ended or self._left:
                return
            elif not await self._news():
                yield self.text

    async def _news(self) -> bool:
        """Wait until it has changed; False where it is time to tell that it has not.

        All viewers share one timer: one for each wait would cost more than the rest of it.
        """
        loop = asyncio.get_running_loop()
        if self._heartbeat is None:
            self._heartbeat = loop.call_later(HEARTBEAT_INTERVAL_SECONDS, self._beat)
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(waiting)
        return await waiting

    def _beat(self) -> None:
        self._heartbeat = None
        self._wake(changed=False)

    def _notify(self) -> None:
        self._wake(changed=True)
        if self._heartbeat and (self.ended or self._left):
            self._heartbeat.cancel()

    def _wake(self, *, changed: bool) -> None:
        woken, self._waiting = self._waiting, []
        for each in woken:
            if not each.done():  # a viewer may have left
                each.set_result(changed)
