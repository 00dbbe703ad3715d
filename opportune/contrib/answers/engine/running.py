"""Answers that this process writes."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from opportune.contrib.answers.engine.flusher import AnswerFlusher
from opportune.contrib.answers.engine.limits import AnswerLimits
from opportune.contrib.answers.engine.records import AnswerProgress, Outcome
from opportune.contrib.answers.engine.task import AnswerTask
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.contrib.tools import Toolbox
from opportune.db import Database
from opportune.storage import Storage

MakeToolbox = Callable[[], Toolbox]


@dataclass(kw_only=True)
class AnswerResources:
    """Parts of the site that answers use.

    Attributes:
        database: Database of the site.
        llm: Language model of the site.
        make_toolbox: Returns the tools that models may call.
        storage: Storage of attached pictures.
        make_retrieval: Returns the tools to call before a model that cannot call tools.
        limits: Limits of each answer, unless it has its own.
    """

    database: Database
    llm: LanguageModel
    make_toolbox: MakeToolbox | None = None
    storage: Storage | None = None
    make_retrieval: MakeToolbox | None = None
    limits: AnswerLimits = field(default_factory=AnswerLimits)

    def model_of(self, answer: Answer) -> LanguageModel:
        """Return the answer's model, or the default if it was removed from the settings."""
        with suppress(LlmError):
            return self.llm.using(answer.model)
        return self.llm


class RunningAnswers:
    """Tasks of the answers that this process writes, by answer id."""

    def __init__(self, resources: AnswerResources) -> None:
        self.resources = resources
        self.worker = secrets.token_hex(16)
        """Id of this process."""
        self.tasks: dict[int, AnswerTask] = {}
        self.on_end: Callable[[Answer], None] = lambda _: None
        """Called when this process no longer writes an answer."""
        self._flusher = AnswerFlusher(resources.database, self.worker)

    def start(self, progress: AnswerProgress) -> None:
        """Write an answer that is assigned to this process, or continue it."""
        answer_task = self.tasks[progress.answer.id] = self._create_task(progress)
        answer_task.start()
        answer_task.task.add_done_callback(lambda _: self._forget(answer_task))

    def cut(self, answer_id: int, outcome: Outcome) -> asyncio.Task[None] | None:
        """End an answer that this process writes, and return its task, which ends when the result is stored."""
        answer_task = self.tasks.get(answer_id)
        if answer_task is None:
            return None
        answer_task.cut(outcome)
        return answer_task.task

    async def wait(self, seconds: float) -> None:
        """Wait until all answers are stored, at most this long."""
        if self.tasks:
            await asyncio.wait([answer_task.task for answer_task in self.tasks.values()], timeout=seconds)

    def close_streams(self) -> None:
        for answer_task in self.tasks.values():
            answer_task.live.close()

    def _create_task(self, progress: AnswerProgress) -> AnswerTask:
        answer = progress.answer
        resources = self.resources
        model = resources.model_of(answer)
        toolbox = None
        retrieval = None
        if model.calls_tools:
            toolbox = _allowed_tools(resources.make_toolbox, answer)
        else:
            retrieval = _allowed_tools(resources.make_retrieval, answer)
        limits = resources.limits.having(answer.limits)
        return AnswerTask(self._flusher, model, progress, toolbox, resources.storage, retrieval, limits)

    def _forget(self, answer_task: AnswerTask) -> None:
        live = answer_task.live
        if self.tasks.get(live.id) is answer_task:  # another task may continue the answer
            del self.tasks[live.id]
        self.on_end(live.answer)


def _allowed_tools(make_toolbox: MakeToolbox | None, answer: Answer) -> Toolbox | None:
    if not (make_toolbox and answer.tool_scopes):
        return None
    allowed = make_toolbox().named(answer.tool_names).allowed(answer.tool_scopes)
    return allowed.without_approval if answer.owner_id is None else allowed
