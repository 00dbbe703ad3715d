"""Delete answers and files with their conversation, and queue its title and suggested questions after an answer."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.chat.comparison import belongs_to
from app.chat.conversations import is_listed
from app.chat.documents import store_version
from app.chat.jobs import can_be_titled, suggest_follow_ups, write_title
from app.chat.models import Conversation, Message, TitledBy
from app.chat.prompt import MAX_FOLLOW_UPS
from opportune.contrib.answers import Answer, AnswerAttachment, AnswerStatus, after_answer, delete_attachments
from opportune.db import after_delete
from opportune.jobs import defer


@after_delete(Conversation)
async def delete_answers(session: AsyncSession, conversation: Conversation) -> None:
    await session.execute(delete(Answer).where(belongs_to(Answer, conversation)))
    await delete_attachments(session, belongs_to(AnswerAttachment, conversation))


@after_answer("chat")
async def store_document(session: AsyncSession, answer: Answer) -> None:
    await store_version(session, answer)


@after_answer("chat")
async def queue_title(session: AsyncSession, answer: Answer) -> None:
    if not can_be_titled(answer):
        return
    question = aliased(Message)
    untitled_conversation = (
        select(col(Conversation.id))
        .join(Message, col(Message.conversation_id) == col(Conversation.id))
        .join(question, col(question.id) == col(Message.parent_id))
        .where(col(Message.answer_id) == answer.id, col(question.parent_id).is_(None))
        .where(col(Conversation.titled_by) == TitledBy.QUESTION, is_listed)
    )
    if conversation_id := await session.scalar(untitled_conversation):
        defer(session, write_title(conversation_id), key=f"title of conversation {conversation_id}")


@after_answer("chat")
async def queue_follow_ups(session: AsyncSession, answer: Answer) -> None:
    """Queue suggestions for a complete answer at the end of the current branch."""
    if not MAX_FOLLOW_UPS or answer.status != AnswerStatus.DONE or not answer.text:
        return
    newest = select(col(Message.id)).join(Conversation, col(Conversation.leaf_id) == col(Message.id))
    if message_id := await session.scalar(newest.where(col(Message.answer_id) == answer.id)):
        defer(session, suggest_follow_ups(message_id), key=f"follow-ups of message {message_id}")
