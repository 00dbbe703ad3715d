"""Answers and files go with their conversation, whichever way it is deleted."""

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation
from opportune.db import before_delete
from opportune.llm import Answer, AnswerAttachment, delete_attachments


@before_delete(Conversation)
async def delete_answers(session: AsyncSession, conversation: Conversation) -> None:
    await session.execute(delete(Answer).where(col(Answer.topic) == conversation.topic))
    await delete_attachments(session, col(AnswerAttachment.topic) == conversation.topic)
