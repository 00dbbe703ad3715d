"""Questions that the model suggests after the newest answer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.jobs import MAX_EXCERPT_LENGTH, choose_model
from app.chat.models import Conversation, Message
from app.chat.prompt import FOLLOW_UP_PROMPT, MAX_FOLLOW_UPS
from opportune.contrib.answers import Answer, AnswerStatus, after_answer
from opportune.contrib.llm import LlmError
from opportune.jobs import JobContext, defer, job

TIMEOUT_SECONDS = 60
MAX_LENGTH = 150
"""Characters of a suggestion. Longer ones are dropped."""


@after_answer("chat")
async def queue_follow_ups(session: AsyncSession, answer: Answer) -> None:
    """Queue suggestions for a complete answer at the end of the current branch."""
    if not MAX_FOLLOW_UPS or answer.status != AnswerStatus.DONE or not answer.text:
        return
    newest = select(col(Message.id)).join(Conversation, col(Conversation.leaf_id) == col(Message.id))
    if message_id := await session.scalar(newest.where(col(Message.answer_id) == answer.id)):
        defer(session, suggest_follow_ups(message_id), key=f"follow-ups of message {message_id}")


@job("chat.follow_ups", attempts=1)
async def suggest_follow_ups(run: JobContext, message_id: int) -> None:
    """Store questions, unless the conversation has continued or the model fails."""
    async with run.database.reader(fresh=True) as session:
        message = await session.get(Message, message_id)
        question = await session.get(Message, message.parent_id) if message else None
        conversation = await session.get(Conversation, message.conversation_id) if message else None
    if not (message and message.answer and question and conversation and conversation.leaf_id == message_id):
        return
    llm = choose_model(run, conversation, message.answer)
    if llm.is_toy:
        return
    excerpt = f"{question.text[:MAX_EXCERPT_LENGTH]}\n\n{message.text[-MAX_EXCERPT_LENGTH:]}"
    with suppress(LlmError, TimeoutError):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reply = await llm.parse(excerpt, list[str], system=FOLLOW_UP_PROMPT, attempts=1)
        await run.write(store_follow_ups, message_id, choose_questions(reply))


def choose_questions(reply: Sequence[str]) -> list[str]:
    """Return the first different short lines."""
    lines = dict.fromkeys(line.strip() for line in reply)
    return [line for line in lines if line.isprintable() and 0 < len(line) <= MAX_LENGTH][:MAX_FOLLOW_UPS]


async def store_follow_ups(session: AsyncSession, message_id: int, questions: list[str]) -> None:
    await session.execute(update(Message).where(col(Message.id) == message_id).values(follow_ups=questions))
