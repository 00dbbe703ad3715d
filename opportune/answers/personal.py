"""Personal data in answers, which go with the row of whoever asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.answers.models import Answer
from opportune.feature import Person, PersonalData

EXPORTED_FIELDS = {"topic", "question", "text", "status", "model", "created_at"}


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    # Without a question they belong to rows of a feature, which tells them itself.
    theirs = select(Answer).where(col(Answer.owner_id) == person.id, col(Answer.question) != "")
    answers = await session.scalars(theirs.order_by(col(Answer.id)))
    return {"answers": [answer.model_dump(include=EXPORTED_FIELDS, warnings=False) for answer in answers]}


personal_data = PersonalData(summary="Your questions to language models, with their answers", read=read)
