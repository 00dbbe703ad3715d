"""Export of the conversations of a user, with those in the trash. They are deleted with the user's row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Document, DocumentVersion, Message, Share
from app.chat.schemas import MessageRead, ShareRead
from opportune.feature import Person, PersonalData

OMITTED_COLUMNS = {"owner_id", "deleted_by_id"}
EXPORTED_FIELDS = {"id", "role", "text", "status", "model", "created_at"}


async def read(session: AsyncSession, user: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    is_owner = col(Conversation.owner_id) == user.id
    conversations = await session.scalars(select(Conversation).where(is_owner).order_by(col(Conversation.id)))
    exported = {row.id: {**row.model_dump(exclude=OMITTED_COLUMNS), "messages": list[Any]()} for row in conversations}
    query = select(Message).join(Conversation, col(Conversation.id) == col(Message.conversation_id)).where(is_owner)
    for message in await session.scalars(query.order_by(col(Message.id))):
        data = MessageRead.of(message).model_dump(include=EXPORTED_FIELDS)
        exported[message.conversation_id]["messages"].append(data)
    shares = await session.scalars(select(Share).join(Conversation).where(is_owner).order_by(col(Share.id)))
    documents = (
        select(DocumentVersion, col(Document.title))
        .join(Document, col(Document.id) == col(DocumentVersion.document_id))
        .join(Conversation, col(Conversation.id) == col(Document.conversation_id))
        .where(is_owner)
        .order_by(col(DocumentVersion.id))
    )
    return {
        "documents": [
            {"title": title, **version.model_dump(exclude={"answer_id"})}
            for version, title in await session.execute(documents)
        ],
        "conversations": list(exported.values()),
        "shared_conversations": [ShareRead.model_validate(share).model_dump() for share in shares],
    }


personal_data = PersonalData(
    summary="Your conversations with all their messages and documents, and the links by which you share them", read=read
)
