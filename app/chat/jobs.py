"""Write titles and suggested questions with the model, and delete temporary conversations."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.comparison import find_model
from app.chat.conversations import MAX_TITLE_WORDS_LENGTH
from app.chat.models import Conversation, Message, TitledBy
from app.chat.prompt import FOLLOW_UP_PROMPT, MAX_FOLLOW_UPS
from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.db import purge, utc_now, with_deleted
from opportune.jobs import JobContext, job

MODEL_TIMEOUT_SECONDS = 60
MAX_REPLY_LENGTH = 200
"""Characters after which reading a reply ends, because it is not a title."""
MAX_EXCERPT_LENGTH = 1_000
"""Characters of the question and of the answer that are sent to the model."""
TITLE_PROMPT = (
    "Give this conversation a title: two to six words in the language of the question, without quotation marks. "
    "Answer with the title alone."
)
MAX_FOLLOW_UP_LENGTH = 150
"""Characters of a suggested question. Longer ones are dropped."""
TEMPORARY_HOURS = 24
"""Hours without a question after which a temporary conversation is deleted."""
ROWS_PER_TRANSACTION = 100


@job("chat.title", attempts=1)
async def write_title(run: JobContext, conversation_id: int) -> None:
    """Replace the first words of the question, unless the user renamed the conversation or the model fails."""
    async with run.database.reader(fresh=True) as session:
        conversation = await find_conversation(session, conversation_id)
        if conversation is None or conversation.titled_by != TitledBy.QUESTION:
            return
        first_messages = (
            select(Message).where(col(Message.conversation_id) == conversation_id).order_by(col(Message.id)).limit(2)
        )
        messages = [*await session.scalars(first_messages)]
    excerpt = "\n\n".join(message.text[:MAX_EXCERPT_LENGTH] for message in messages)
    answer = next((message.answer for message in messages if message.answer), None)
    llm = choose_model(run, conversation, answer)
    with suppress(LlmError, TimeoutError):
        async with asyncio.timeout(MODEL_TIMEOUT_SECONDS):
            reply = await _read_reply(llm, excerpt)
        if title := parse_title(reply):
            await run.write(store_title, conversation_id, title)


async def find_conversation(session: AsyncSession, conversation_id: int) -> Conversation | None:
    """Return a conversation, unless its owner was deactivated and may no longer use models."""
    query = select(Conversation).join(User, col(User.id) == col(Conversation.owner_id))
    return await session.scalar(query.where(col(Conversation.id) == conversation_id, col(User.is_active)))


def choose_model(run: JobContext, conversation: Conversation, answer: Answer | None) -> LanguageModel:
    """Return the model of a conversation or of its answer, charged like the answer.

    That is to the visitor, if visitors share the account.
    """
    site_model = run.service(LanguageModel)
    charged_model = site_model.charged_to(answer.payer) if answer else site_model.for_user(conversation.owner_id)
    return find_model(charged_model, conversation.model or (answer.model if answer else ""))[0]


async def _read_reply(llm: LanguageModel, excerpt: str) -> str:
    reply = ""
    async with aclosing(llm.stream(excerpt, system=TITLE_PROMPT)) as texts:
        async for text in texts:
            reply += text
            if len(reply) > MAX_REPLY_LENGTH:  # more tokens would cost money
                break
    return reply


async def store_title(session: AsyncSession, conversation_id: int, title: str) -> None:
    untitled = col(Conversation.id) == conversation_id, col(Conversation.titled_by) == TitledBy.QUESTION
    await session.execute(update(Conversation).where(*untitled).values(title=title, titled_by=TitledBy.MODEL))


def can_be_titled(answer: Answer) -> bool:
    """Return True if a first answer is complete enough for a title."""
    return bool(answer.text) and answer.status in (AnswerStatus.DONE, AnswerStatus.TRUNCATED, AnswerStatus.STOPPED)


def parse_title(reply: str) -> str:
    """Return the title in a reply, or an empty string."""
    title = reply.strip().removeprefix("Title:").strip(" \"'“”„«»*#`.")
    return title if len(title) <= MAX_TITLE_WORDS_LENGTH and title.isprintable() else ""


@job("chat.follow_ups", attempts=1)
async def suggest_follow_ups(run: JobContext, message_id: int) -> None:
    """Store questions, unless the conversation has continued or the model fails."""
    async with run.database.reader(fresh=True) as session:
        message = await session.get(Message, message_id)
        if message is None:
            return
        question = await session.get(Message, message.parent_id)
        conversation = await find_conversation(session, message.conversation_id)
    if question is None or conversation is None or conversation.leaf_id != message_id:
        return
    llm = choose_model(run, conversation, message.answer)
    if llm.is_toy:
        return
    excerpt = f"{question.text[:MAX_EXCERPT_LENGTH]}\n\n{message.text[-MAX_EXCERPT_LENGTH:]}"
    with suppress(LlmError, TimeoutError):
        async with asyncio.timeout(MODEL_TIMEOUT_SECONDS):
            reply = await llm.parse(excerpt, list[str], system=FOLLOW_UP_PROMPT, attempts=1)
        await run.write(store_follow_ups, message_id, choose_questions(reply))


def choose_questions(reply: Sequence[str]) -> list[str]:
    """Return the first different short lines."""
    lines = dict.fromkeys(line.strip() for line in reply)
    return [line for line in lines if line.isprintable() and 0 < len(line) <= MAX_FOLLOW_UP_LENGTH][:MAX_FOLLOW_UPS]


async def store_follow_ups(session: AsyncSession, message_id: int, questions: list[str]) -> None:
    await session.execute(update(Message).where(col(Message.id) == message_id).values(follow_ups=questions))


@job("chat.delete_temporary", schedule="23 * * * *")
async def delete_temporary(run: JobContext) -> None:
    """Delete temporary conversations permanently, also from the trash, with their answers and files."""
    is_old = col(Conversation.used_at) < utc_now() - timedelta(hours=TEMPORARY_HOURS)
    query = with_deleted(select(Conversation).where(col(Conversation.is_temporary), is_old).limit(ROWS_PER_TRANSACTION))
    while True:
        async with run.database.writer() as session:
            rows = (await session.scalars(query)).all()
            for row in rows:
                await purge(session, row)
        if len(rows) < ROWS_PER_TRANSACTION:
            return
