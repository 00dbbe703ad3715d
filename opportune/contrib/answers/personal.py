"""Personal data in answers, deleted with the user's row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.models import Answer, AnswerAttachment
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.feature import Person, PersonalData

EXPORTED_FILE_FIELDS = {"topic", "filename", "content_type", "size_bytes", "stored_as", "created_at"}
EXPORTED_RATING_FIELDS = {"topic", "rating", "rating_note", "created_at"}
EXPORTED_FIELDS = EXPORTED_RATING_FIELDS | {"question", "text", "reasoning", "sources", "status", "model"}


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    # Answers without a question belong to rows of another feature, such as chat messages, which exports them.
    with_question_query = select(Answer).where(col(Answer.owner_id) == person.id, col(Answer.question) != "")
    answers = await session.scalars(with_question_query.order_by(col(Answer.id)))
    rated_query = select(Answer).where(col(Answer.owner_id) == person.id, col(Answer.rating).is_not(None))
    ratings = await session.scalars(rated_query.order_by(col(Answer.id)))
    files = await session.scalars(select(AnswerAttachment).where(col(AnswerAttachment.owner_id) == person.id))
    usage = await session.scalars(select(LlmUsage).where(col(LlmUsage.owner_id) == person.id))
    return {
        "answers": [answer.model_dump(include=EXPORTED_FIELDS, warnings=False) for answer in answers],
        "ratings": [answer.model_dump(include=EXPORTED_RATING_FIELDS, warnings=False) for answer in ratings],
        "attachments": [file.model_dump(include=EXPORTED_FILE_FIELDS) for file in files],
        "usage": [row.model_dump(exclude={"id", "owner_id", "payer"}) for row in usage],
    }


async def list_files(session: AsyncSession, person: Person) -> Sequence[str]:
    names = select(col(AnswerAttachment.stored_as)).where(col(AnswerAttachment.owner_id) == person.id)
    return (await session.scalars(names)).all()


personal_data = PersonalData(
    summary="Your questions to language models with their answers, your ratings, your attached files, and your daily "
    "usage",
    read=read,
    files=list_files,
)
