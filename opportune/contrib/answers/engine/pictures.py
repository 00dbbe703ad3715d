"""Pictures that models make for an answer, stored as attachments of its owner."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.models import Answer, AnswerAttachment
from opportune.contrib.tools import ToolResult

PICTURE_TOOL = "make_image"


def picture_of(name: str, result: ToolResult | None) -> dict[str, Any]:
    """Return the picture that a call has made, for its stored run."""
    if name != PICTURE_TOOL or result is None or result.is_error or not isinstance(result.data, dict):
        return {}
    picture = result.data.get("picture")
    return {"picture": picture} if isinstance(picture, dict) and "id" in picture else {}


async def adopt_pictures(session: AsyncSession, answer_id: int, runs: Sequence[Mapping[str, Any]]) -> None:
    """Give the pictures of an answer its topic, by which its feature deletes them."""
    ids = [run["picture"]["id"] for run in runs if "picture" in run]
    if not ids:
        return
    is_of_answer = col(Answer.id) == answer_id
    owner_id = select(col(Answer.owner_id)).where(is_of_answer).scalar_subquery()
    topic = select(col(Answer.topic)).where(is_of_answer).scalar_subquery()
    is_picture = col(AnswerAttachment.id).in_(ids) & (col(AnswerAttachment.owner_id) == owner_id)
    await session.execute(update(AnswerAttachment).where(is_picture).values(topic=topic))
