"""Limits of one answer: steps, seconds of work, and cost."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Self

from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.contrib.llm.providers.provider import LlmError
from opportune.contrib.tools.toolbox import MAX_STEPS
from opportune.i18n import gettext_lazy as _l

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
