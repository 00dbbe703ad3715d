"""Values that the tasks of the engine exchange with the storage of answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple, Self

from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.i18n import gettext_lazy as _l


class Claim(Enum):
    """Relation of an answer to the worker that tries to change it."""

    OWNED = auto()
    STOP_REQUESTED = auto()
    """Owned by the worker, but the user has requested a stop."""
    LOST = auto()
    """Deleted, ended, or owned by another worker."""


@dataclass(frozen=True)
class Outcome:
    """Final status and error of an answer."""

    status: AnswerStatus
    error_code: str = ""
    error: str = ""
    """A sentence for the user. It is stored in English, and pages translate it."""
    model: str = ""
    """Model that answered, if known. It may be a fallback."""


STOPPED = Outcome(AnswerStatus.STOPPED)
INTERRUPTED = Outcome(
    AnswerStatus.INTERRUPTED, "interrupted", _l("The server stopped while this answer was being written.")
)
NOT_STORED = Outcome(AnswerStatus.FAILED, "database", _l("The answer could not be stored. Try again."))
HANDED_OVER = Outcome(AnswerStatus.STREAMING)
"""Not final: this process stops, and another one continues the answer."""
INTERNAL_ERROR = Outcome(AnswerStatus.FAILED, "internal", _l("Something went wrong on our side. Try again."))


UNREAD = -2
"""Sequence number of a reader who has nothing yet. The text of the row (-1) comes before the first chunk (0)."""


class AnswerDelta(NamedTuple):
    """New text and reasoning since the last save."""

    answer_id: int
    seq: int
    text: str
    reasoning: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.reasoning)


@dataclass(frozen=True)
class AnswerResult:
    """Complete text and outcome of an answer that this worker no longer writes."""

    answer_id: int
    text: str
    outcome: Outcome
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Tokens, cost and seconds by the names of their columns. Empty if they are already stored."""
    unsaved: Sequence[AnswerDelta] = ()
    """Deltas that are possibly not committed. Another worker needs them to continue the answer."""
    tool_runs: Sequence[dict[str, Any]] | None = None
    """Tool calls; None if they are already stored."""
    sources: Sequence[dict[str, Any]] = ()
    runs_hooks: bool = True
    reasoning: str = ""


class AnswerProgress(NamedTuple):
    """Stored text of an answer: all of it, or only the chunks after the requested sequence number."""

    answer: Answer
    text: str = ""
    last_seq: int = -1
    reasoning: str = ""

    @classmethod
    def from_answer(cls, answer: Answer) -> Self:
        """Create the progress of an answer that has no chunks."""
        return cls(answer, answer.text, reasoning=answer.reasoning)

    def copy_to(self, row: Answer) -> None:
        """Update a row of the same answer. The progress must contain all of the text."""
        row.sqlmodel_update(self.answer, update={"text": self.text, "reasoning": self.reasoning})
