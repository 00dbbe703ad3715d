"""Personal data in conversations, which go with their owner's row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message, Share
from app.chat.schemas import MessageRead, ShareRead
from opportune.feature import Person, PersonalData

EXPORTED_FIELDS = {"id", "role", "text", "status", "model", "created_at"}


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    owned = col(Conversation.owner_id) == person.id
    conversations = await session.scalars(select(Conversation).where(owned).order_by(col(Conversation.id)))
    told = {each.id: {**each.model_dump(exclude={"owner_id"}), "messages": list[Any]()} for each in conversations}
    query = select(Message).join(Conversation, col(Conversation.id) == col(Message.conversation_id)).where(owned)
    for message in await session.scalars(query.order_by(col(Message.id))):
        told[message.conversation_id]["messages"].append(MessageRead.of(message).model_dump(include=EXPORTED_FIELDS))
    shares = await session.scalars(select(Share).join(Conversation).where(owned).order_by(col(Share.id)))
    return {
        "conversations": list(told.values()),
        "shared_conversations": [ShareRead.model_validate(share).model_dump() for share in shares],
    }


personal_data = PersonalData(
    summary="Your conversations with all their messages, and the links by which you share them", read=read
)
