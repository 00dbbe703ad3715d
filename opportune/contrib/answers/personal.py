"""Personal data in answers and usage: export, and deletion after some days or with the user's row."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.models import Answer, AnswerAttachment
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.db import older_than, utc_now
from opportune.feature import Cleanup, Person, PersonalData

EXPORTED_FILE_FIELDS = {"topic", "filename", "content_type", "size_bytes", "stored_as", "created_at"}
EXPORTED_RATING_FIELDS = {"topic", "rating", "rating_note", "created_at"}
EXPORTED_FIELDS = EXPORTED_RATING_FIELDS | {"question", "text", "reasoning", "sources", "status", "model"}
VISITOR_USAGE_DAYS = 3
"""Days after which rows with a visitor's hashed address are deleted. The sum of all visitors is kept."""


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    # Answers without a question belong to rows of another feature, such as chat messages, which exports them.
    is_exported = (col(Answer.question) != "") | col(Answer.rating).is_not(None)
    query = select(Answer).where(col(Answer.owner_id) == person.id, is_exported)
    answers = (await session.scalars(query.order_by(col(Answer.id)))).all()
    files = await session.scalars(select(AnswerAttachment).where(col(AnswerAttachment.owner_id) == person.id))
    usage = await session.scalars(select(LlmUsage).where(col(LlmUsage.owner_id) == person.id))
    return {
        "answers": [row.model_dump(include=EXPORTED_FIELDS, warnings=False) for row in answers if row.question],
        "ratings": [row.model_dump(include=EXPORTED_RATING_FIELDS, warnings=False) for row in answers if row.rating],
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


def _days_ago(days: int) -> datetime:
    return utc_now() - timedelta(days=days)


def _is_usage_of_visitor(_settings: Any) -> ColumnElement[bool]:
    return col(LlmUsage.payer).startswith("visitor:") & (col(LlmUsage.day) < _days_ago(VISITOR_USAGE_DAYS).date())


def _is_charged_to_visitor(_settings: Any) -> ColumnElement[bool]:
    return col(Answer.charged_to).startswith("visitor:") & (col(Answer.finished_at) < _days_ago(VISITOR_USAGE_DAYS))


def _is_unowned(settings: Any) -> ColumnElement[bool] | None:
    is_old = older_than(Answer.finished_at, settings.of(AnswersSettings).unowned_answer_days)
    return None if is_old is None else col(Answer.owner_id).is_(None) & is_old


def _is_old_usage_of_user(settings: Any) -> ColumnElement[bool] | None:
    days = settings.of(AnswersSettings).llm_usage_days
    return (col(LlmUsage.payer) == "") & (col(LlmUsage.day) < _days_ago(days).date()) if days else None


CLEANUPS = (
    Cleanup(LlmUsage, _is_usage_of_visitor),
    Cleanup(Answer, _is_charged_to_visitor, values={"charged_to": ""}),
    Cleanup(LlmUsage, _is_old_usage_of_user),
    Cleanup(Answer, _is_unowned),
)
