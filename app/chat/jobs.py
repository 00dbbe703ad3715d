"""Write the title of a new conversation with the model."""

import asyncio
from contextlib import aclosing, suppress

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.comparison import find_model
from app.chat.conversations import MAX_TITLE_WORDS_LENGTH
from app.chat.models import Conversation, Message, TitledBy
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.jobs import JobContext, job

TITLE_TIMEOUT_SECONDS = 60
MAX_REPLY_LENGTH = 200
"""Characters after which reading a reply ends, because it is not a title."""
MAX_EXCERPT_LENGTH = 1_000
"""Characters of the question and of the answer that are sent for a title."""
TITLE_PROMPT = (
    "Give this conversation a title: two to six words in the language of the question, without quotation marks. "
    "Answer with the title alone."
)


@job("chat.title", attempts=1)
async def write_title(run: JobContext, conversation_id: int) -> None:
    """Replace the first words of the question, unless the user renamed the conversation or the model fails."""
    async with run.database.reader(fresh=True) as session:
        conversation = await session.get(Conversation, conversation_id)
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
        async with asyncio.timeout(TITLE_TIMEOUT_SECONDS):
            reply = await _read_reply(llm, excerpt)
        if title := parse_title(reply):
            await run.write(store_title, conversation_id, title)


def choose_model(run: JobContext, conversation: Conversation, answer: Answer | None) -> LanguageModel:
    """Return the model of a conversation, charged like its answer: to the visitor, if visitors share the account."""
    site_model = run.service(LanguageModel)
    charged_model = site_model.charged_to(answer.payer) if answer else site_model.for_user(conversation.owner_id)
    return find_model(charged_model, conversation)[0]


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
