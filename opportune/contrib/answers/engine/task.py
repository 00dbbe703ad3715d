"""Task that generates one answer in this process and saves it while it grows."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from time import monotonic
from typing import Any

from opportune.accounts.models import User
from opportune.contrib import llm
from opportune.contrib.answers.engine import records, tool_runs
from opportune.contrib.answers.engine.flusher import AnswerFlusher, UnsavedAnswer
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.resources import SECONDS_USED, STEPS_USED, AnswerResources
from opportune.contrib.answers.engine.store import TRANSIENT_ERRORS, can_recover
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.contrib.llm.completion.usage import TokenUsage
from opportune.contrib.llm.providers.provider import CONTINUE, without_pictures
from opportune.contrib.tools import ToolRun, converse
from opportune.contrib.tools.retrieval import MAX_PASSAGES_SHARE, retrieve, with_passages
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import make_storable
from opportune.storage import MissingFileError, Storage, StorageError

logger = logging.getLogger(__name__)

RETRY_DELAYS_SECONDS = (0.1, 0.5, 2.0)
"""Seconds between attempts to store a result. Later attempts follow only during an outage of the database."""
OUTAGE_RETRY_DELAY_SECONDS = 3.0
"""Seconds between later attempts during a database outage. The result is kept in memory."""
OUTAGE_TIMEOUT_SECONDS = 600.0
"""Seconds of a database outage after which the result of an answer is dropped."""
CHARS_PER_TOKEN = 4
"""Typical of English. An exact estimate of each chunk would cost too much."""
CONTINUE_TURN = llm.Message("user", CONTINUE)


class AnswerTask:
    """Writes one answer, from `start` until `task` is done."""

    def __init__(self, flusher: AnswerFlusher, resources: AnswerResources, progress: records.AnswerProgress) -> None:
        answer = progress.answer
        self.flusher = flusher
        self.resources = resources
        self.usage = TokenUsage()
        self.model = resources.model_of(answer).charged_to(answer.payer, self.usage)
        self.live = LiveAnswer(progress)
        self.unsaved = UnsavedAnswer(self.live, self.cut)
        self.prompt: list[llm.Message] = []
        self._started_at = monotonic()
        self._runs: list[tool_runs.Run] = answer.tool_runs
        self._sources = [*answer.sources]
        self._reasoning_tokens = 0  # as reported
        self._streamed_length = 0  # characters of text and reasoning in the running call of the model
        self._starts_paragraph = True  # of the next reasoning
        # All calls, also those of `_runs`, if some wait for the user. Stored and shown with the end of this task.
        self._unapproved_runs: list[tool_runs.Run] | None = None
        self._cut_outcome: records.Outcome | None = None

    def _prepare(self) -> None:
        """Read the limits, tools and messages of the answer. A fault in them ends the answer, not its request."""
        progress = self.live.progress
        answer = progress.answer
        self.limits = self.resources.limits.having(answer.limits)
        self.toolbox = tools = self.resources.toolbox_of(answer)
        self._changing_tools = {name for name in tools.tools if tools.changes(name)} if tools else set()
        self._runs = tool_runs.fail_interrupted_calls(answer.tool_runs, self._changing_tools, len(progress.text))
        self.live.update_tool_runs(self._runs)
        self.prompt = _build_prompt(progress, self.model, self._runs)
        # The turn that asks to continue starts a new count of steps.
        self._uncounted_runs = len(self._runs) if self.prompt[-1:] == [CONTINUE_TURN] else 0

    def start(self) -> None:
        self._generation = asyncio.create_task(self._generate())
        # This task is never cancelled, so that it can store the result.
        self.task = asyncio.create_task(self._generate_and_store(), name=f"answer {self.live.id}")

    def cut(self, outcome: records.Outcome) -> None:
        """End a running answer with this outcome. `task` is done when the result is stored."""
        self._cut_outcome = self._cut_outcome or outcome
        self._generation.cancel()

    async def _generate_and_store(self) -> None:
        try:
            with self.flusher.saving(self.unsaved):
                await asyncio.wait([self._generation])
            result = records.AnswerResult(
                self.live.id,
                self.unsaved.text,
                self._final_outcome(),
                self._total_usage(),
                unsaved=self.unsaved.uncommitted_deltas(),
                tool_runs=self._unapproved_runs or self._runs,
                sources=self._sources,
                reasoning=self.unsaved.reasoning,
            )
            await self._store_result(result)
        finally:
            self.live.close()

    def _final_outcome(self) -> records.Outcome:
        if self._generation.cancelled():
            return self._cut_outcome or records.INTERRUPTED
        error = self._generation.exception()
        if error is None:
            return self._generation.result()
        if not isinstance(error, llm.LlmError):
            logger.error("answer %s", self.live.id, exc_info=error)
            return records.INTERNAL_ERROR
        if error.advice:
            logger.warning("answer %s: %s", self.live.id, error.with_advice)
        status = AnswerStatus.INTERRUPTED if error.code == "interrupted" else AnswerStatus.FAILED
        return records.Outcome(status, error.code, error.english)

    def _total_usage(self) -> dict[str, Any]:
        """Return the usage of this process and of the ones that wrote the answer before."""
        stored = self.live.progress.answer
        usage = {
            "prompt_tokens": self.usage.prompt_tokens + stored.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens + stored.completion_tokens,
            "reasoning_tokens": self._reasoning_tokens or llm.estimate_tokens(self.unsaved.reasoning),
            "cost_micro": self.usage.cost_micro + stored.cost_micro,
            "usage_estimated": bool(self.usage.estimated_tokens or (stored.prompt_tokens and stored.usage_estimated)),
            "seconds": stored.seconds + monotonic() - self._started_at,
        }
        if self.live.progress.text and stored.usage_estimated:  # the counts of the other processes are unknown
            prompt_tokens = sum(map(llm.estimate_tokens, self.prompt))
            completion_tokens = llm.estimate_tokens(self.unsaved.reasoning + self.unsaved.text)
            usage |= {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "usage_estimated": True}
            usage["cost_micro"] = self._cost_micro(prompt_tokens, completion_tokens)
        return usage

    def _cost_micro(self, prompt_tokens: int, completion_tokens: int) -> int:
        return self.model.model.cost_micro(prompt_tokens, completion_tokens) if self.model.model else 0

    async def _generate(self) -> records.Outcome:
        try:
            self._prepare()
            self._require_cost()
            async with asyncio.timeout(self.limits.remaining_seconds(self.live.answer.seconds)) as timeout:
                return await self._consume(await self._open_stream())
        except TimeoutError:
            if timeout.expired():
                raise llm.LlmError("time_limit", SECONDS_USED) from None
            raise
        except llm.LlmError as error:
            if error.code == "empty" and self._has_nothing_to_add():
                return records.Outcome(AnswerStatus.DONE)
            raise

    def _require_cost(self) -> None:
        """Check the cost of ended calls, and of the text of the running one."""
        if self.limits.cost:
            ended = self.live.progress.answer.cost_micro + self.usage.cost_micro
            running = self._cost_micro(0, self._streamed_length // CHARS_PER_TOKEN)
            self.limits.require_cost(ended + running)

    def _has_nothing_to_add(self) -> bool:
        """Return True if the stored text was already complete and only the final chunk was missing."""
        text = self.live.progress.text
        return self.unsaved.text.rstrip() == text.rstrip() and bool(tool_runs.text_after_last_call(self._runs, text))

    async def _consume(self, chunks: AsyncGenerator[llm.Chunk | ToolRun, None]) -> records.Outcome:
        async with aclosing(chunks):
            async for chunk in chunks:
                match chunk:
                    case str():
                        self._add_text(chunk)
                    case llm.Reasoning():
                        self._add_reasoning(chunk.text)
                    case ToolRun():
                        await self._add_tool_run(chunk)
                    case llm.Done():
                        return self._outcome_of(chunk)
        raise llm.LlmError("interrupted", "The model ended its answer in the middle. Try again.")

    def _outcome_of(self, done: llm.Done) -> records.Outcome:
        self._runs = tool_runs.end_runs(self._runs, done.returned)
        self._reasoning_tokens = done.reasoning_tokens or 0
        outcome = records.Outcome(AnswerStatus.DONE, model=done.model)
        if self._unapproved_runs or any(map(tool_runs.is_job, self._runs)):
            return replace(outcome, status=AnswerStatus.WAITING)
        if done.truncated:
            return replace(outcome, status=AnswerStatus.TRUNCATED)
        if tool_runs.count_steps(self._runs[self._uncounted_runs :]) >= self.limits.max_steps:
            return replace(outcome, status=AnswerStatus.TRUNCATED, error_code="step_limit", error=STEPS_USED)
        return outcome

    def _add_reasoning(self, text: str) -> None:
        is_next_paragraph = self._starts_paragraph and self.unsaved.reasoning
        self._starts_paragraph = False
        self._add_text("", f"\n\n{text}" if is_next_paragraph else text)

    def _add_text(self, text: str, reasoning: str = "") -> None:
        self.unsaved.add(make_storable(text), make_storable(reasoning))
        self.flusher.plan_save()
        self._streamed_length += len(text) + len(reasoning)
        self._require_cost()

    async def _add_tool_run(self, run: ToolRun) -> None:
        """Record a call. If the cost limit is reached, it does not begin, and neither does the next request."""
        self._starts_paragraph = True
        self._streamed_length = 0
        if run.result is None:
            self._require_cost()
        await self._record_tool_run(run)
        if run.result is not None:
            self._require_cost()

    async def _record_tool_run(self, run: ToolRun) -> None:
        text_length = len(self.unsaved.text)
        is_next_job = run.result_from == "job" and not (run.waits or self._unapproved_runs)
        if not (run.has_begun or is_next_job):  # shown after it is stored, because the user cannot approve it earlier
            self._unapproved_runs = tool_runs.update_run(self._unapproved_runs or self._runs, run, text_length)
            return
        self._runs = tool_runs.update_run(self._runs, run, text_length)
        sources = [*self._sources]
        if await self.flusher.save_tool_runs(self.live.id, self._runs, sources):
            self.live.answer.sources = sources
            self.live.update_tool_runs(self._runs)
        elif run.result is None and run.call.name in self._changing_tools:
            # Without a record, a worker that takes over would run the call again.
            self.cut(records.NOT_STORED)
            await asyncio.sleep(0)  # the cancellation takes effect here, before the call begins

    async def _find_approval(self, call: llm.ToolCall) -> bool | None:
        return tool_runs.find_approval(self._runs, call)

    async def _open_stream(self) -> AsyncGenerator[llm.Chunk | ToolRun, None]:
        if self.model.sees_images and (storage := self.resources.storage):
            self.prompt = [await _load_pictures(message, storage) for message in self.prompt]
        answer = self.live.answer
        owner = await self._load_owner()
        if self.toolbox:
            return converse(
                self.model,
                self.prompt,
                self.toolbox.for_answer(self.limits.max_steps),
                owner,
                approve=self._find_approval,
                sources=self._sources,
                temperature=answer.temperature,
            )
        if not self._runs and not self.unsaved.text:
            await self._retrieve_passages(owner)
        passages = tool_runs.retrieved_passages(self._runs)
        self.prompt = with_passages(self.prompt, passages, self.model.context_budget, prompt_length=len(answer.prompt))
        return self.model.chunks(self.prompt, temperature=answer.temperature)

    async def _load_owner(self) -> User | None:
        """Return the owner of the answer, whose account may have been deactivated while it waited."""
        if self.live.answer.owner_id is None:
            return None
        async with self.flusher.database.reader(fresh=True) as session:
            owner = await session.get(User, self.live.answer.owner_id)
        if owner is None or not owner.is_active:
            raise llm.LlmError("inactive", _l("This account was deactivated, so the answer has ended here."))
        return owner

    async def _retrieve_passages(self, owner: User | None) -> None:
        """Search for passages about the question, for a model that cannot call tools."""
        answer = self.live.answer
        if retrieval := self.resources.retrieval_of(answer):
            max_tokens = int(self.model.context_budget * MAX_PASSAGES_SHARE)
            for run in await retrieve(retrieval, owner, _question_of(answer), max_tokens, self._sources):
                await self._record_tool_run(run)

    async def _store_result(self, result: records.AnswerResult) -> None:
        deadline = monotonic() + OUTAGE_TIMEOUT_SECONDS
        delays = iter(RETRY_DELAYS_SECONDS)
        while True:
            try:
                stored = await self.flusher.finish(result)
            except TRANSIENT_ERRORS as fault:
                logger.warning("answer %s: its result is not stored (%s)", result.answer_id, type(fault).__name__)
                pause = next(delays, OUTAGE_RETRY_DELAY_SECONDS if can_recover(fault) else None)
                if pause is None or monotonic() > deadline:
                    self._show_not_stored()
                    return
                await asyncio.sleep(pause)
            except Exception:
                if not result.runs_hooks:
                    raise
                logger.exception("answer %s: an after_answer hook failed", result.answer_id)
                result = replace(result, runs_hooks=False)
            else:
                if stored:
                    self._show_stored(stored)
                return

    def _show_stored(self, answer: Answer) -> None:
        if answer.is_waiting:
            for delta in self.unsaved.uncommitted_deltas():
                self.live.add(delta.text, delta.reasoning)
            self.live.update_answer(answer)
        elif not answer.is_running:
            self.live.finish(answer)

    def _show_not_stored(self) -> None:
        """Show an error after the text that is stored."""
        answer = self.live.answer
        answer.sqlmodel_update(vars(records.NOT_STORED) | {"text": self.live.text, "reasoning": self.live.reasoning})
        self.live.finish(answer)


def _build_prompt(
    progress: records.AnswerProgress, model: llm.LanguageModel, runs: Sequence[tool_runs.Run]
) -> list[llm.Message]:
    """Return the messages for the model. They end with the stored text of an answer to continue."""
    prompt = [*progress.answer.messages, *tool_runs.turns_of(progress.text, runs)]
    if tool_runs.text_after_last_call(runs, progress.text) and not (model.provider and model.provider.continues):
        prompt.append(CONTINUE_TURN)
    return prompt


def _question_of(answer: Answer) -> str:
    """Return the question to search for: the stored one, or the last turn of the user."""
    user_turns = [message.content for message in answer.messages if message.role == "user"]
    return answer.question or (user_turns[-1] if user_turns else "")


async def _load_pictures(message: llm.Message, storage: Storage) -> llm.Message:
    """Load the pictures of a message. If one is missing, replace all by placeholder texts."""
    try:
        contents = [picture.content or await storage.read(picture.stored_as) for picture in message.pictures]
    except (StorageError, MissingFileError):
        return without_pictures(message)
    pictures = zip(message.pictures, contents, strict=True)
    loaded = (replace(picture, content=content, stored_as="") for picture, content in pictures)
    return replace(message, pictures=tuple(loaded))
