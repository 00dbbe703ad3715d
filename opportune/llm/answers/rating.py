"""Thumbs: what the person who asked says of an answer, for the site's staff."""

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.llm.answers.errors import AnswerRunning
from opportune.llm.answers.models import MAX_RATING_NOTE_LENGTH, Answer, Rating
from opportune.schemas import Schema
from opportune.text import Line


class RatingUpdate(Schema):
    rating: Rating | Literal[""]
    """Empty to take it back."""
    note: Annotated[Line, Field(max_length=MAX_RATING_NOTE_LENGTH)] = ""


async def rate(session: AsyncSession, answer: Answer, wanted: RatingUpdate) -> Answer:
    """Keep what the person who asked says of an answer; without a rating there is no note.

    Raises:
        AnswerRunning: it is still being written.
    """
    if answer.is_running:
        raise AnswerRunning
    rated = await session.get_one(Answer, answer.id)
    rated.sqlmodel_update({"rating": wanted.rating or None, "rating_note": wanted.note if wanted.rating else ""})
    return rated
