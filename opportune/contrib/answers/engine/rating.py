"""Ratings of answers by the user who asked, for the staff."""

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.answers.engine.limits import AnswerRunning
from opportune.contrib.answers.models import MAX_RATING_NOTE_LENGTH, Answer, Rating
from opportune.schemas import Schema
from opportune.schemas.text import Line


class RatingUpdate(Schema):
    rating: Rating | Literal[""]
    """Empty to remove the rating."""
    note: Annotated[Line, Field(max_length=MAX_RATING_NOTE_LENGTH)] = ""


async def rate(session: AsyncSession, answer: Answer, update: RatingUpdate) -> Answer:
    """Store or remove the rating of an answer.

    Raises:
        AnswerRunning: The answer is still being written.
    """
    if answer.is_running:
        raise AnswerRunning
    row = await session.get_one(Answer, answer.id)
    row.sqlmodel_update({"rating": update.rating or None, "rating_note": update.note if update.rating else ""})
    return row
