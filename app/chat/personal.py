"""Export of the conversations of a user, with those in the trash. They are deleted with the user's row."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Document, DocumentVersion, Message, Share
from app.chat.schemas import MessageRead, ShareRead
from opportune.feature import Person, PersonalData

OMITTED_COLUMNS = {"owner_id", "deleted_by_id"}
EXPORTED_FIELDS = {"id", "role", "text", "status", "model", "created_at"}


async def read(session: AsyncSession, user: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    is_owner = col(Conversation.owner_id) == user.id
    shares = await session.scalars(select(Share).join(Conversation).where(is_owner).order_by(col(Share.id)))
    return {
        "documents": await _read_documents(session, is_owner),
        "conversations": await _read_conversations(session, is_owner),
        "shared_conversations": [ShareRead.model_validate(share).model_dump() for share in shares],
    }


async def _read_conversations(session: AsyncSession, is_owner: ColumnElement[bool]) -> list[Mapping[str, Any]]:
    messages: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    query = select(Message).join(Conversation, col(Conversation.id) == col(Message.conversation_id)).where(is_owner)
    for message in await session.scalars(query.order_by(col(Message.id))):
        fields = MessageRead.of(message).model_dump(include=EXPORTED_FIELDS)
        messages[message.conversation_id].append(fields)
    conversations = await session.scalars(select(Conversation).where(is_owner).order_by(col(Conversation.id)))
    return [{**row.model_dump(exclude=OMITTED_COLUMNS), "messages": messages[row.id]} for row in conversations]


async def _read_documents(session: AsyncSession, is_owner: ColumnElement[bool]) -> list[Mapping[str, Any]]:
    query = (
        select(DocumentVersion, col(Document.title))
        .join(Document, col(Document.id) == col(DocumentVersion.document_id))
        .join(Conversation, col(Conversation.id) == col(Document.conversation_id))
        .where(is_owner)
        .order_by(col(DocumentVersion.id))
    )
    rows = await session.execute(query)
    return [{"title": title, **version.model_dump(exclude={"answer_id"})} for version, title in rows]


personal_data = PersonalData(
    summary="Your conversations with all their messages and documents, and the links by which you share them", read=read
)
