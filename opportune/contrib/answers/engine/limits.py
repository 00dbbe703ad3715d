"""Limits of one answer (steps, seconds of work, and cost), and of the running answers of a user."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.tool_runs import Run, count_steps
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.contrib.llm.providers.provider import LlmError
from opportune.contrib.tools.toolbox import MAX_STEPS
from opportune.errors import Refused
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l

STEPS_USED = _l("This answer has used all of its steps, so it may be incomplete.")
SECONDS_USED = _l("This answer has reached its time limit.")
COST_USED = _l("This answer has reached its cost limit.")
MAX_RUNNING_ANSWERS = 3
"""Maximum number of running answers per user."""


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

    def status_of(self, status: AnswerStatus, runs: Sequence[Run]) -> tuple[AnswerStatus, str, str]:
        """Return status, error code and error of an answer that has ended with these calls."""
        if status == AnswerStatus.DONE and count_steps(runs) >= self.max_steps:
            return AnswerStatus.TRUNCATED, "step_limit", str(STEPS_USED)
        return status, "", ""


class AnswerRunning(Refused):
    """The user's last question on the topic is still being answered."""

    def __init__(self) -> None:
        super().__init__(_("The last answer is still being written."))


class TooManyAnswers(Refused):
    """The user has reached the limit of running answers."""

    status = 429

    def __init__(self) -> None:
        super().__init__(_("You have several answers running already."))


async def require_capacity(
    session: AsyncSession, answer: Answer, worker: str, is_dead: Callable[[Answer], bool]
) -> None:
    """Check that the user may start this answer. One that waits blocks only its topic.

    Raises:
        AnswerRunning: An answer on the topic is running.
        TooManyAnswers: The user has too many running answers.
    """
    if answer.owner_id is None:
        return
    # The row lock serializes questions of the user. On SQLite, writers are serialized anyway.
    await session.execute(select(col(User.id)).where(col(User.id) == answer.owner_id).with_for_update())
    running = await store.read_running_answers(session, col(Answer.owner_id) == answer.owner_id)
    running = [row for row in running if row is not answer]
    on_topic = [row for row in running if answer.topic and row.topic == answer.topic]
    if dead := [row for row in on_topic if is_dead(row)]:  # those on other topics will be continued
        await store.take_over_answers(session, worker, dead)
    if len(on_topic) > len(dead):
        raise AnswerRunning
    alive = [row for row in running if not is_dead(row) and not row.is_waiting]
    if len(alive) >= MAX_RUNNING_ANSWERS:
        raise TooManyAnswers
