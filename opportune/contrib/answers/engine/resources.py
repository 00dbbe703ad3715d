"""Parts of the site that answers use, limited to those that an answer may use, and limits of one answer."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Self

from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.contrib.tools import Toolbox
from opportune.contrib.tools.toolbox import MAX_STEPS
from opportune.db import Database
from opportune.i18n import gettext_lazy as _l
from opportune.storage import Storage

MakeToolbox = Callable[[], Toolbox]


STEPS_USED = _l("This answer has used all of its steps, so it may be incomplete.")
SECONDS_USED = _l("This answer has reached its time limit.")
COST_USED = _l("This answer has reached its cost limit.")


@dataclass(frozen=True, kw_only=True)
class AnswerLimits:
    """Limits of an answer. None for a value of the settings; 0 for no limit of seconds or cost.

    Attributes:
        steps: Rounds of tool calls, after which the model must answer without tools.
        seconds: Seconds of work. The time in which the answer waits for the user or a job does not count.
        cost: Cost in the currency of the settings, by the prices in LLM_MODELS.
    """

    steps: int | None = None
    seconds: float | None = None
    cost: Decimal | float | None = None

    def stored(self) -> dict[str, Any]:
        """Return the limits that differ from the settings, as JSON."""
        return {name: float(value) for name, value in asdict(self).items() if value is not None}

    def having(self, stored: dict[str, Any]) -> Self:
        """Return the limits of an answer with these stored ones."""
        return type(self)(**(asdict(self) | stored))

    @property
    def max_steps(self) -> int:
        return int(self.steps or MAX_STEPS)

    def remaining_seconds(self, used: float) -> float | None:
        """Return the remaining seconds of work. None without a limit.

        Raises:
            LlmError: They are used up.
        """
        if not self.seconds:
            return None
        if used >= self.seconds:
            raise LlmError("time_limit", SECONDS_USED)
        return self.seconds - used

    def require_cost(self, cost_micro: int) -> None:
        """Raises LlmError if this cost reaches the limit."""
        if self.cost and cost_micro >= self.cost * MICRO_PER_UNIT:
            raise LlmError("cost_limit", COST_USED)


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
