"""Pictures that models make for an answer, stored as attachments of its owner."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.dependencies import CurrentUser
from opportune.contrib.answers.engine.attachments import stored_attachments
from opportune.contrib.answers.models import Answer, AnswerAttachment
from opportune.contrib.llm.dependencies import Llm
from opportune.contrib.tools import ToolResult, tool
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.i18n import gettext_lazy as _l
from opportune.storage import StorageDependency
from opportune.web import Upload

PICTURE_TOOL = "make_image"
PICTURE_SECONDS = 180
"""Maximum duration of a call. Pictures take longer than other tools."""
MAX_PICTURE_NAME_LENGTH = 60
Description = Annotated[str, Field(min_length=1, max_length=4_000)]


async def make_image(
    user: CurrentUser, llm: Llm, storage: StorageDependency, database: DatabaseDependency, description: Description
) -> dict[str, Any]:
    """Make a picture from a description. The user sees it above the answer, so do not link to it."""
    picture = await llm.image(description)
    sent = Upload(f"{description[:MAX_PICTURE_NAME_LENGTH]}.png", picture.content)
    async with stored_attachments(storage, user.id, [sent]) as rows, database.writer() as session:
        session.add_all(rows)
        await session.flush()
        return {"picture": {"id": rows[0].id, "description": description}}


picture_tool = tool(
    make_image, name=PICTURE_TOOL, status=_l("Making a picture"), asks=False, max_seconds=PICTURE_SECONDS
)


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
