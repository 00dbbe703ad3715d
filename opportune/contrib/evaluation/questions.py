"""Questions of an evaluation: from rated answers, or from a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.models import Answer, AnswerStatus, Rating
from opportune.errors import OperatorError
from opportune.project.text_files import read_text
from opportune.schemas.text import Text, make_storable


class FileQuestion(BaseModel):
    """A line of a file of questions."""

    model_config = ConfigDict(extra="forbid")

    question: Text = Field(min_length=1)
    expected: Text = ""
    """Expected answer, for the judge."""


@dataclass(frozen=True)
class EvaluatedQuestion:
    position: int
    text: str
    expected: str = ""
    answer: Answer | None = None
    """The rated answer to it."""

    @property
    def rating(self) -> Rating | None:
        return self.answer.rating if self.answer else None


def read_question_file(path: Path) -> tuple[str, list[EvaluatedQuestion]]:
    """Read a JSONL file. Return its name with a hash of its content, and the questions.

    Raises:
        OperatorError: The file is missing, invalid or empty.
    """
    text = read_text(path)
    questions: list[EvaluatedQuestion] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _parse_line(path, number, line)
            questions.append(EvaluatedQuestion(len(questions), row.question, row.expected))
    if not questions:
        raise OperatorError(f'{path} has no questions. Write one per line: {{"question": "…", "expected": "…"}}.')
    return f"{make_storable(path.name[:200])} {sha256(text.encode()).hexdigest()[:12]}", questions


def _parse_line(path: Path, number: int, line: str) -> FileQuestion:
    try:
        return FileQuestion.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"]))
        message = f"{field}: {fault['msg']}" if field else fault["msg"]
        raise OperatorError(f"{path}, line {number}: {message}.") from None


async def find_rated_ids(session: AsyncSession, since: datetime | None, limit: int) -> list[int]:
    """Return the ids of the newest rated answers that are complete."""
    query = select(col(Answer.id)).where(
        col(Answer.rating).is_not(None), col(Answer.status) == AnswerStatus.DONE, col(Answer.question) != ""
    )
    if since:
        query = query.where(col(Answer.created_at) >= since)
    return [*(await session.scalars(query.order_by(col(Answer.id).desc()).limit(limit)))]


async def load_rated(session: AsyncSession, ids: Sequence[int]) -> list[EvaluatedQuestion]:
    """Return the questions of rated answers. Deleted answers leave gaps in the positions."""
    query = select(Answer).where(col(Answer.id).in_(ids))
    answers = {answer.id: answer for answer in await session.scalars(query)}
    return [
        EvaluatedQuestion(position, answers[id_].question, answer=answers[id_])
        for position, id_ in enumerate(ids)
        if id_ in answers
    ]
