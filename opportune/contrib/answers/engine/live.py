"""The committed part of a growing answer in memory, which its viewers follow."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Self

from opportune.contrib.answers.engine.records import AnswerProgress
from opportune.contrib.answers.models import Answer
from opportune.web import MarkdownBlocks, markdown
from opportune.web.streaming import HEARTBEAT_INTERVAL_SECONDS, MAX_INLINE_RENDER_LENGTH


class Growth(NamedTuple):
    """New parts of an answer."""

    text: str
    reasoning: str
    has_new_calls: bool
    """Whether tool calls were added or changed."""

    @property
    def is_heartbeat(self) -> bool:
        return not any(self)


class LiveAnswer:
    """The committed part of a growing answer. Each viewer keeps only an offset, so a slow one costs no memory."""

    def __init__(self, progress: AnswerProgress) -> None:
        self.progress = progress
        """Stored text when this object was created."""
        self.id = progress.answer.id
        self.answer = progress.answer
        self.tool_runs = progress.answer.tool_runs
        self.viewers = 0
        self.tools_version = 0
        """Number of updates of `tool_runs`."""
        self.text = progress.text
        self.reasoning = progress.reasoning
        self.rendered_length = 0
        """Length of the text that `render_blocks` has rendered."""
        self._blocks = MarkdownBlocks()
        self._rendering: asyncio.Future[None] | None = None
        self._is_closed = False
        self._waiting_viewers = list[asyncio.Future[bool]]()
        self._heartbeat: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Count a viewer: the answer is saved more often while it is viewed."""
        self.viewers += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.viewers -= 1

    @property
    def ended(self) -> bool:
        return not self.answer.is_running

    def copy_to(self, row: Answer) -> None:
        """Update a row of the same answer. If it has ended since the row was read, its usage and error are new."""
        growing = {"text": self.text, "reasoning": self.reasoning, "tool_runs": self.tool_runs}
        if self.ended:
            row.sqlmodel_update(self.answer, update=growing)
        else:
            row.sqlmodel_update(growing | {"status": self.answer.status, "sources": self.answer.sources})

    async def render_blocks(self) -> MarkdownBlocks:
        """Render new text for all viewers. The HTML and `rendered_length` are valid until the next `await`."""
        await self._wait_for_rendering()
        if new_text := self.text[self.rendered_length :]:
            self.rendered_length += len(new_text)
            self._blocks.feed(new_text)
            if self._blocks.unrendered_chars > MAX_INLINE_RENDER_LENGTH:
                self._rendering = markdown.in_thread(self._blocks.render)
            await self._wait_for_rendering()
        return self._blocks

    async def _wait_for_rendering(self) -> None:
        while self._rendering and not self._rendering.done():
            await asyncio.shield(self._rendering)  # a viewer who disconnects must not cancel it

    def add(self, text: str, reasoning: str = "") -> None:
        self.text += text
        self.reasoning += reasoning
        if text or reasoning:
            self._notify()

    def update_tool_runs(self, runs: Sequence[dict[str, Any]]) -> None:
        if runs != self.tool_runs:
            self.tool_runs = [*runs]
            self.tools_version += 1
            self._notify()

    def update_answer(self, answer: Answer) -> None:
        """Show the stored answer with its status and tool calls."""
        self.answer = answer
        self.update_tool_runs(answer.tool_runs)

    def finish(self, answer: Answer) -> None:
        """Show the ended answer."""
        self.update_answer(answer)
        self.text = answer.text
        self.reasoning = answer.reasoning
        self._notify()

    def close(self) -> None:
        """End all streams of the answer. Clients reconnect to another process, or after the restart."""
        self._is_closed = True
        self._notify()

    async def follow(self, offset: int) -> AsyncIterator[Growth]:
        """Yield all that is new after `offset` characters of the text, and after each change until the answer ends.

        The reasoning and existing calls always come first, because a call may wait for an approval. Text before a new
        call precedes it, even if it is committed later. After `HEARTBEAT_INTERVAL_SECONDS` without a change, yield a
        heartbeat.
        """
        reasoning_length = 0
        tools_version = -1 if self.tool_runs else 0
        while True:
            has_new_calls = self.tools_version > tools_version
            end = len(self.text)
            if has_new_calls and offset < (start := self._start_of_last_call()):
                has_new_calls = False
                end = start
            growth = Growth(self.text[offset:end], self.reasoning[reasoning_length:], has_new_calls)
            if not growth.is_heartbeat:
                offset += len(growth.text)
                reasoning_length += len(growth.reasoning)
                if has_new_calls:
                    tools_version = self.tools_version
                yield growth
            elif self.ended or self._is_closed:
                return
            elif not await self._wait_for_change():
                yield growth

    def _start_of_last_call(self) -> int:
        """Return the length of the text before the last call, which a running answer may commit later."""
        start: int = max((run.get("at", 0) for run in self.tool_runs), default=0)
        return min(start, len(self.text)) if self.ended else start

    def _wait_for_change(self) -> asyncio.Future[bool]:
        """Return a future with the result True after a change, and False if a heartbeat is due.

        All viewers share one timer, because a timer per viewer is expensive.
        """
        loop = asyncio.get_running_loop()
        if self._heartbeat is None:
            self._heartbeat = loop.call_later(HEARTBEAT_INTERVAL_SECONDS, self._send_heartbeat)
        change: asyncio.Future[bool] = loop.create_future()
        self._waiting_viewers.append(change)
        return change

    def _send_heartbeat(self) -> None:
        self._heartbeat = None
        self._wake(changed=False)

    def _notify(self) -> None:
        self._wake(changed=True)
        if self._heartbeat and (self.ended or self._is_closed):
            self._heartbeat.cancel()

    def _wake(self, *, changed: bool) -> None:
        futures = self._waiting_viewers
        self._waiting_viewers = []
        for future in futures:
            if not future.done():  # done if the viewer has disconnected
                future.set_result(changed)
