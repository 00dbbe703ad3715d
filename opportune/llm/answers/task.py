"""Task that generates one answer in this process and saves it while it grows."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from time import monotonic

from opportune import llm
from opportune.accounts.models import User
from opportune.db import is_outage
from opportune.llm.answers.flusher import AnswerFlusher, UnsavedAnswer
from opportune.llm.answers.live import LiveAnswer
from opportune.llm.answers.models import AnswerStatus
from opportune.llm.answers.store import (
    HANDED_OVER,
    INTERNAL_ERROR,
    INTERRUPTED,
    NOT_STORED,
    TRANSIENT_ERRORS,
    AnswerEnd,
    AnswerProgress,
    Outcome,
)
from opportune.llm.answers.tool_runs import (
    Run,
    approval_of,
    fail_unknown,
    messages_of,
    passages_of,
    text_after_last_call,
    update_run,
)
from opportune.llm.providers.provider import without_pictures
from opportune.llm.spending.call_guard import TokenUsage
from opportune.llm.tools import Toolbox, ToolRun, converse
from opportune.llm.tools.retrieval import MAX_PASSAGES_SHARE, retrieve, with_passages
from opportune.storage import MissingFileError, Storage, StorageError
from opportune.text import make_storable

logger = logging.getLogger(__name__)

RETRY_DELAYS_SECONDS = (0.1, 0.5, 2.0)
"""Seconds before each further attempt to store the end of an answer. Without it, the answer would stay unfinished."""
OUTAGE_RETRY_DELAY_SECONDS = 3.0
"""Seconds between later attempts during a database outage. The end of the answer is kept in memory."""
OUTAGE_TIMEOUT_SECONDS = 600.0
"""Seconds of a database outage after which the end of an answer is dropped."""

CONTINUE = "Continue exactly where your answer stopped. Do not repeat any of it, and do not comment on this."


class AnswerTask:
    """Writes one answer, from `start` until `task` is done."""

    def __init__(
        self,
        flusher: AnswerFlusher,
        model: llm.LanguageModel,
        progress: AnswerProgress,
        toolbox: Toolbox | None = None,
        storage: Storage | None = None,
        retrieval: Toolbox | None = None,
    ) -> None:
        """Args:
        flusher: Saves the text.
        model: The model to ask.
        progress: The stored part of the answer.
        toolbox: Tools that the model may call.
        storage: Storage of the pictures in the prompt.
        retrieval: Tools to call before a model that cannot call tools.
        """
        self.flusher = flusher
        self.usage = TokenUsage()
        self.model = model = model.charged_to(progress.answer.payer, self.usage)
        self.toolbox = toolbox
        self.storage = storage
        self.retrieval = retrieval
        self.live = LiveAnswer(progress)
        self._changing_tools = {name for name in toolbox.tools if toolbox.changes(name)} if toolbox else set()
        self._runs = self.live.tool_runs = fail_unknown(progress.answer.tool_runs, self._changing_tools)
        self.unsaved = UnsavedAnswer(self.live, self.cut)
        self.prompt = prompt_of(progress, model, self._runs)
        self._sources = [*progress.answer.sources]
        self._starts_paragraph = True
        """True if the next reasoning starts a paragraph."""
        self._waiting: list[Run] | None = None
        self._cut_by: Outcome | None = None

    def start(self) -> None:
        self._generation = asyncio.create_task(self._generate())
        # This task is never cancelled, so the end of the answer is always stored.
        self.task = asyncio.create_task(self._write(), name=f"answer {self.live.id}")

    def cut(self, outcome: Outcome) -> None:
        """End a running answer with this outcome. `task` is done when the end is stored."""
        self._cut_by = self._cut_by or outcome
        self._generation.cancel()

    async def _write(self) -> None:
        try:
            with self.flusher.saving(self.unsaved):
                await asyncio.wait([self._generation])
            text, unsaved, runs = self.unsaved.text, self.unsaved.rest(), self._waiting or self._runs
            await self._end(
                AnswerEnd(
                    *(self.live.id, text, self._outcome(), unsaved, runs, self._sources),
                    reasoning=self.unsaved.reasoning,
                )
            )
        finally:
            self.live.leave()

    def _outcome(self) -> Outcome:
        if self._generation.cancelled():
            return self._cut_by if self._cut_by is HANDED_OVER else self._with_usage(self._cut_by or INTERRUPTED)
        error = self._generation.exception()
        if error is None:
            return self._with_usage(self._generation.result())
        if not isinstance(error, llm.LLMError):
            logger.error("answer %s", self.live.id, exc_info=error)
            return self._with_usage(INTERNAL_ERROR)
        if error.advice:
            logger.warning("answer %s: %s", self.live.id, error.with_advice)
        status = AnswerStatus.INTERRUPTED if error.code == "interrupted" else AnswerStatus.FAILED
        return self._with_usage(Outcome(status, error.code, str(error)))

    def _with_usage(self, outcome: Outcome) -> Outcome:
        """Add the token usage. Providers report it with the last chunk, if at all, so estimate what is missing."""
        reasoning_tokens = outcome.reasoning_tokens or llm.estimate_tokens(self.unsaved.reasoning)
        return replace(self._with_total_usage(outcome), reasoning_tokens=reasoning_tokens)

    def _with_total_usage(self, outcome: Outcome) -> Outcome:
        used, before = self.usage, self.live.progress.answer
        if used.calls:
            outcome = replace(
                outcome,
                prompt_tokens=used.prompt_tokens,
                completion_tokens=used.completion_tokens,
                usage_estimated=bool(used.estimated_tokens),
                cost_micro=used.cost_micro,
            )
        if (used.calls or not outcome.usage_estimated) and not (self.live.progress.text and before.usage_estimated):
            # Add the usage before the answer waited for an approval.
            return replace(
                outcome,
                prompt_tokens=outcome.prompt_tokens + before.prompt_tokens,
                completion_tokens=outcome.completion_tokens + before.completion_tokens,
                usage_estimated=outcome.usage_estimated or bool(before.prompt_tokens and before.usage_estimated),
                cost_micro=outcome.cost_micro + before.cost_micro,
            )
        # Token counts of the process that started the answer are unknown.
        text = self.unsaved.reasoning + self.unsaved.text
        tokens = sum(map(llm.estimate_tokens, self.prompt)), llm.estimate_tokens(text)
        cost = self.model.model.cost_micro(*tokens) if self.model.model else 0
        return replace(
            outcome, prompt_tokens=tokens[0], completion_tokens=tokens[1], usage_estimated=True, cost_micro=cost
        )

    async def _generate(self) -> Outcome:
        try:
            return await self._follow(await self._chunks())
        except llm.LLMError as error:
            if error.code == "empty" and self._has_nothing_to_add():
                return Outcome(AnswerStatus.DONE, usage_estimated=True)
            raise

    def _has_nothing_to_add(self) -> bool:
        """Return True if the stored text was already complete and only the final chunk was missing."""
        text = self.live.progress.text
        return self.unsaved.text.rstrip() == text.rstrip() and bool(text_after_last_call(self._runs, text))

    async def _follow(self, chunks: AsyncGenerator[llm.Chunk | ToolRun, None]) -> Outcome:
        async with aclosing(chunks):
            async for chunk in chunks:
                if isinstance(chunk, ToolRun):
                    self._starts_paragraph = True
                    await self._note(chunk)
                    continue
                if isinstance(chunk, llm.Reasoning):
                    self._add_reasoning(chunk.text)
                    continue
                if isinstance(chunk, llm.Done):
                    return Outcome(
                        AnswerStatus.WAITING if self._waiting else _status_of(chunk),
                        prompt_tokens=chunk.prompt_tokens or 0,
                        completion_tokens=chunk.completion_tokens or 0,
                        reasoning_tokens=chunk.reasoning_tokens or 0,
                        usage_estimated=chunk.completion_tokens is None,
                        model=chunk.model,
                    )
                self._add(chunk)
        raise llm.LLMError("interrupted", "The model ended its answer in the middle. Try again.")

    def _add_reasoning(self, text: str) -> None:
        is_next_paragraph = self._starts_paragraph and self.unsaved.reasoning
        self._starts_paragraph = False
        self._add("", f"\n\n{text}" if is_next_paragraph else text)

    def _add(self, text: str, reasoning: str = "") -> None:
        self.unsaved.add(make_storable(text), make_storable(reasoning))
        self.flusher.plan_save()

    async def _note(self, run: ToolRun) -> None:
        at = len(self.unsaved.text)
        if not run.has_begun:  # shown when it is stored, because only then it can be approved
            self._waiting = update_run(self._waiting or self._runs, run, at)
            return
        self._runs, sources = update_run(self._runs, run, at), [*self._sources]
        if await self.flusher.note_tool_runs(self.live.id, self._runs, sources):
            self.live.answer.sources = sources
            self.live.note_tool_runs(self._runs)
        elif run.result is None and run.call.name in self._changing_tools:
            # Without a record, a worker that takes over would run the call again.
            self.cut(NOT_STORED)
            await asyncio.sleep(0)

    async def _approve(self, call: llm.ToolCall) -> bool | None:
        return approval_of(self._runs, call)

    async def _chunks(self) -> AsyncGenerator[llm.Chunk | ToolRun, None]:
        if self.model.sees_images:
            self.prompt = [await self._with_pictures(message) for message in self.prompt]
        answer = self.live.answer
        if self.toolbox:
            return converse(
                *(self.model, self.prompt, self.toolbox, await self._owner()),
                approve=self._approve,
                sources=self._sources,
                temperature=answer.temperature,
            )
        if self.retrieval and not self._runs and not self.unsaved.text:
            await self._look_up(self.retrieval, await self._owner())
        self.prompt = with_passages(
            *(self.prompt, passages_of(self._runs), self.model.context_budget), prompt_length=len(answer.prompt)
        )
        return self.model.chunks(self.prompt, temperature=answer.temperature)

    async def _owner(self) -> User | None:
        async with self.flusher.database.reader() as session:
            return await session.get(User, self.live.answer.owner_id) if self.live.answer.owner_id else None

    async def _look_up(self, retrieval: Toolbox, owner: User | None) -> None:
        """Search for passages about the question, for a model that cannot call tools."""
        answer = self.live.answer
        user_turns = (message.content for message in reversed(answer.messages) if message.role == "user")
        question = answer.question or next(user_turns, "")
        max_tokens = int(self.model.context_budget * MAX_PASSAGES_SHARE)
        for run in await retrieve(retrieval, owner, question, max_tokens, self._sources):
            await self._note(run)

    async def _with_pictures(self, message: llm.Message) -> llm.Message:
        """Load the pictures of a message. If one is missing, replace all by placeholder texts."""
        if not any(picture.stored_as for picture in message.pictures):
            return message
        try:
            pictures = [await self._read(picture) for picture in message.pictures]
        except (StorageError, MissingFileError):
            return without_pictures(message)
        return replace(message, pictures=tuple(pictures))

    async def _read(self, picture: llm.Picture) -> llm.Picture:
        if not picture.stored_as:
            return picture
        if not self.storage:
            raise MissingFileError(picture.stored_as)
        return llm.Picture(await self.storage.read(picture.stored_as), picture.content_type)

    async def _end(self, end: AnswerEnd) -> None:
        deadline = monotonic() + OUTAGE_TIMEOUT_SECONDS
        delays = iter(RETRY_DELAYS_SECONDS)
        while True:
            try:
                stored = await self.flusher.finish(end)
            except TRANSIENT_ERRORS as fault:
                logger.warning("answer %s: its end is not stored (%s)", end.answer_id, type(fault).__name__)
                is_away = isinstance(fault, TimeoutError) or is_outage(fault)
                pause = next(delays, OUTAGE_RETRY_DELAY_SECONDS if is_away else None)
                if pause is None or monotonic() > deadline:
                    stored_text = {"text": self.live.text, "reasoning": self.live.reasoning}
                    self.live.end(self.live.answer.sqlmodel_update({**vars(NOT_STORED), **stored_text}))
                    return
                await asyncio.sleep(pause)
            except Exception:
                if not end.runs_hooks:
                    raise
                logger.exception("answer %s: a hook at its end failed", end.answer_id)
                end = replace(end, runs_hooks=False)
            else:
                if stored and stored.is_waiting:
                    for delta in self.unsaved.rest():
                        self.live.add(delta.text, delta.reasoning)
                    self.live.wait(stored)
                elif stored and not stored.is_running:
                    self.live.end(stored)
                return


def prompt_of(progress: AnswerProgress, model: llm.LanguageModel, runs: Sequence[Run]) -> list[llm.Message]:
    """Return the messages to send: the prompt, and the existing part of an answer to continue."""
    prompt = messages_of(progress.answer, progress.text, runs)
    if text_after_last_call(runs, progress.text) and not (model.provider and model.provider.continues):
        prompt.append(llm.Message("user", CONTINUE))
    return prompt


def _status_of(end: llm.Done) -> AnswerStatus:
    return AnswerStatus.TRUNCATED if end.truncated else AnswerStatus.DONE
