"""Cards on other pages."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.conversations import Conversations, is_listed
from app.chat.models import Conversation, Message
from app.chat.schemas import ConversationFilter
from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.feature import Panel

MAX_SHOWN_CONVERSATIONS = 4
"""Conversations on the start page."""
UNFINISHED = (AnswerStatus.WAITING, AnswerStatus.STREAMING, AnswerStatus.INTERRUPTED)
"""Answers that wait for the user, grow, or can be continued."""


async def read_conversations(session: AsyncSession, user: User | None) -> Mapping[str, Any]:
    """Return the unfinished answers of a user, each with its conversation, and the last used conversations."""
    if user is None:
        return {"conversations": None}
    unfinished = (
        select(Conversation, Answer)
        .join(Message, col(Message.id) == col(Conversation.leaf_id))
        .join(Answer, col(Answer.id) == col(Message.answer_id))
        .where(col(Conversation.owner_id) == user.id, is_listed, col(Answer.status).in_(UNFINISHED))
        .order_by(col(Conversation.used_at).desc())
        .limit(MAX_SHOWN_CONVERSATIONS)
    )
    pairs = (await session.execute(unfinished)).all()
    newest = await Conversations(session, user.id).list_page(ConversationFilter(size=MAX_SHOWN_CONVERSATIONS))
    shown = {conversation.id: conversation for conversation, _ in pairs}
    shown |= {conversation.id: conversation for conversation in newest.items}
    return {
        "answers": {conversation.id: answer for conversation, answer in pairs},
        "conversations": [*shown.values()][:MAX_SHOWN_CONVERSATIONS],
    }


home_card = Panel("chat/home_card.html", read_conversations)
