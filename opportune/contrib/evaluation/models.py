"""Tables of evaluations and their verdicts."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field

from opportune.contrib.answers.models import Rating
from opportune.db import Model, utc_now
from opportune.fields import Text

MAX_SCORE = 5
STORED = "stored answers"
"""Name of the candidate whose answers are in the database."""


class Outcome(StrEnum):
    """Verdict of the judge. A single answer is `graded`; two answers are compared."""

    GRADED = "graded"
    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    UNDECIDED = "undecided"
    """The judge gave no valid verdict, or a model has no answer to this question."""


class EvaluationRun(Model, table=True):
    """An evaluation of one candidate, or of two that are compared.

    Attributes:
        second: Empty if the answers of one candidate are graded.
        source: Origin of the questions, which tells runs apart: the name and hash of a file, or the filter of answers.
        answer_ids: Rated answers of the run; empty for questions of a file.
        questions: Number of questions.
        cost_micro: Millionths of the currency, of judge and candidates.
        finished_at: None while the run can be continued.
    """

    __tablename__ = "evaluation_run"

    judge: str = Field(max_length=200)
    first: str = Field(max_length=200)
    second: str = Field(default="", max_length=200)
    source: str = Field(max_length=300)
    answer_ids: list[int] = Field(default_factory=list)
    questions: int
    cost_micro: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime = Field(default_factory=utc_now)
    finished_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.first} or {self.second}" if self.second else self.first


class EvaluationVerdict(Model, table=True):
    """The verdict about the answers to one question.

    Attributes:
        position: Number of the question in the run.
        answer_id: The rated answer. Its question and the judge's reason are private and not stored here.
        question: Question of a file.
        score: 1 to 5 if the outcome is `graded`.
        rating: Rating by the user, to compare it with the score.
        reason: Reason of the judge for a question of a file.
    """

    __tablename__ = "evaluation_verdict"
    __table_args__ = (UniqueConstraint("run_id", "position"),)

    run_id: int = Field(foreign_key="evaluation_run.id", ondelete="CASCADE")
    position: int
    answer_id: int | None = Field(
        default=None, foreign_key="answers_answer.id", ondelete="CASCADE", nullable=True, index=True
    )
    question: Text = ""
    outcome: Outcome
    score: int | None = None
    rating: Rating | None = None
    reason: Text = ""

    def __str__(self) -> str:
        return f"{self.outcome} {self.position}"
