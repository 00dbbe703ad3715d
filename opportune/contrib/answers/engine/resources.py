"""Parts of the site that answers use, limited to those that an answer may use."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from opportune.contrib.answers.engine.limits import AnswerLimits
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

    def toolbox_of(self, answer: Answer) -> Toolbox | None:
        """Return the tools that the answer's model may call."""
        return _allowed_tools(self.make_toolbox, answer) if self.model_of(answer).calls_tools else None

    def retrieval_of(self, answer: Answer) -> Toolbox | None:
        """Return the tools to call before the answer's model, if it cannot call tools."""
        return None if self.model_of(answer).calls_tools else _allowed_tools(self.make_retrieval, answer)


def _allowed_tools(make_toolbox: MakeToolbox | None, answer: Answer) -> Toolbox | None:
    if not (make_toolbox and answer.tool_scopes):
        return None
    allowed = make_toolbox().named(answer.tool_names).allowed(answer.tool_scopes)
    return allowed.without_approval if answer.owner_id is None else allowed
