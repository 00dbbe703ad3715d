"""Live answers: the committed part of a growing answer, in memory for any number of viewers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from opportune.llm.answers.models import Answer
from opportune.llm.answers.store import AnswerProgress
from opportune.web import MarkdownBlocks, markdown
from opportune.web.streaming import HEARTBEAT_INTERVAL_SECONDS, MAX_INLINE_RENDER_LENGTH

SILENCE_TIMEOUT_SECONDS = 40.0
"""Seconds of silence (two missing heartbeats) after which a page considers its connection lost."""


class LiveAnswer:
    """The committed part of a growing answer. Viewers hold an offset and wait, so a slow one costs no memory."""

    def __init__(self, progress: AnswerProgress) -> None:
        self.progress = progress
        """The part that was stored when this object was created."""
        self.answer = progress.answer
        self.tool_runs = progress.answer.tool_runs
        self.viewers = 0
        self.tools_version = 0
        """Number of changes of `tool_runs`."""
        self._parts = [progress.text]
        self._reasoning_parts = [progress.reasoning]
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
        if len(self._reasoning_parts) > 1:
            self._reasoning_parts = ["".join(self._reasoning_parts)]
        return self._reasoning_parts[0]

    @property
    def ended(self) -> bool:
        return not self.answer.is_running

    async def blocks(self) -> tuple[MarkdownBlocks, int]:
        """Return the text as HTML and its length, valid until the next `await`. Rendered once for all viewers."""
        await self._rendered()
        if new := self.text[self._fed :]:
            self._fed += len(new)
            self._blocks.feed(new)
            if self._blocks.waiting > MAX_INLINE_RENDER_LENGTH:
                self._rendering = markdown.in_thread(self._blocks.render)
            await self._rendered()
        return self._blocks, self._fed

    async def _rendered(self) -> None:
        while self._rendering and not self._rendering.done():
            await asyncio.shield(self._rendering)  # a disconnecting viewer must not cancel it for others

    def add(self, text: str, reasoning: str = "") -> None:
        if text:
            self._parts.append(text)
        if reasoning:
            self._reasoning_parts.append(reasoning)
        if text or reasoning:
            self._notify()

    def note_tool_runs(self, runs: Sequence[dict[str, Any]]) -> None:
        """Show changed tool calls."""
        if runs != self.tool_runs:
            self.tool_runs = [*runs]
            self.tools_version += 1
            self._notify()

    def wait(self, answer: Answer) -> None:
        """Show the stored answer, which waits for an approval."""
        self.answer = answer
        self.note_tool_runs(answer.tool_runs)

    def end(self, answer: Answer) -> None:
        """Show the stored end of the answer."""
        self.answer = answer
        self._parts, self._reasoning_parts = [answer.text], [answer.reasoning]
        self._notify()

    def leave(self) -> None:
        """End all streams, because the process stops. Clients reconnect to another process or after the restart."""
        self._left = True
        self._notify()

    async def growth(self, offset: int) -> AsyncIterator[str]:
        """Yield the text whenever it is longer than `offset`, until the answer ends.

        Yield it also when reasoning or tool calls change, and as a heartbeat after `HEARTBEAT_INTERVAL_SECONDS`.
        """
        reasoning_length = 0
        tools_version = -1 if self.tool_runs else 0  # always send existing calls: one may wait for an approval
        while True:
            if len(self.text) > offset or self.tools_version > tools_version or len(self.reasoning) > reasoning_length:
                offset, tools_version, reasoning_length = len(self.text), self.tools_version, len(self.reasoning)
                yield self.text
            elif self.ended or self._left:
                return
            elif not await self._wait_for_change():
                yield self.text

    async def _wait_for_change(self) -> bool:
        """Wait for a change. Return False if a heartbeat is due.

        All viewers share one timer, because a timer per viewer is expensive.
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
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():  # done if the viewer has disconnected
                future.set_result(changed)
