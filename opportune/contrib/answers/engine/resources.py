"""Models, tools and storage for the answers of a site."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import BaseModel

from opportune.contrib.answers.engine.flusher import AnswerFlusher
from opportune.contrib.answers.engine.limits import AnswerLimits
from opportune.contrib.answers.engine.records import AnswerProgress
from opportune.contrib.answers.engine.task import AnswerTask
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.contrib.tools import Toolbox
from opportune.storage import Storage

MakeToolbox = Callable[[], Toolbox]


@dataclass
class AnswerResources:
    llm: LanguageModel
    make_toolbox: MakeToolbox | None
    """Creates the tools that models may call."""
    storage: Storage | None
    """Storage of attached pictures."""
    make_retrieval: MakeToolbox | None
    """Creates the tools to call before a model that cannot call tools."""
    limits: AnswerLimits = field(default_factory=AnswerLimits)
    """Limits of each answer, unless it has its own."""

    def model_of(self, answer: Answer) -> LanguageModel:
        """Return the answer's model, or the default if it was removed from the settings."""
        with suppress(LlmError):
            return self.llm.using(answer.model)
        return self.llm

    def create_task(self, flusher: AnswerFlusher, progress: AnswerProgress) -> AnswerTask:
        """Create the task that writes an answer from its progress."""
        answer, toolbox, retrieval = progress.answer, None, None
        model, limits = self.model_of(answer), self.limits.having(answer.limits)
        if model.calls_tools:
            toolbox = _allowed_tools(self.make_toolbox, answer)
        else:
            retrieval = _allowed_tools(self.make_retrieval, answer)
        return AnswerTask(flusher, model, progress, toolbox, self.storage, retrieval, limits)

    def form_of(self, tool: str) -> type[BaseModel] | None:
        """Return the form that the user fills in as the result of a tool."""
        toolbox = self.make_toolbox() if self.make_toolbox else None
        return toolbox.tools[tool].form if toolbox and tool in toolbox.tools else None

    def missing_scopes(self, tool: str, scopes: str) -> Sequence[str]:
        """Return the scopes that a tool needs beyond these (separated by spaces)."""
        toolbox = self.make_toolbox() if self.make_toolbox else None
        return toolbox.missing_scopes(tool, scopes) if toolbox and tool in toolbox.tools else ()


def _allowed_tools(make_toolbox: MakeToolbox | None, answer: Answer) -> Toolbox | None:
    if not (make_toolbox and answer.tool_scopes):
        return None
    allowed = make_toolbox().named(answer.tool_names).allowed(answer.tool_scopes)
    return allowed.without_approval if answer.owner_id is None else allowed
