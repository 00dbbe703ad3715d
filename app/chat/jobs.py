"""What nobody waits for: a title by the model for a conversation that has begun."""

import asyncio
from contextlib import aclosing, suppress

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.answering import model_of
from app.chat.models import Conversation, Message, TitledBy
from app.chat.service import MAX_FIRST_WORDS_LENGTH
from opportune.jobs import JobContext, job
from opportune.llm import Answer, AnswerStatus, LanguageModel, LLMError

TITLE_TIMEOUT_SECONDS = 60
MAX_REPLY_LENGTH = 200
"""Characters after which a reply is no title, and is not read on."""
MAX_SHOWN_LENGTH = 1_000
"""Characters of the question, and of the answer, from which the model makes a title."""
TITLE_PROMPT = (
    "Give this conversation a title: two to six words in the language of the question, without quotation marks. "
    "Answer with the title alone."
)


@job("chat.title", attempts=1)
async def write_title(run: JobContext, conversation_id: int) -> None:
    """Where the model is silent or says something else, the first words stay, and so does what a person has written."""
    async with run.database.reader(fresh=True) as session:
        conversation = await session.get(Conversation, conversation_id)
        if conversation is None or conversation.titled_by != TitledBy.QUESTION:
            return
        first = (
            select(Message).where(col(Message.conversation_id) == conversation_id).order_by(col(Message.id)).limit(2)
        )
        messages = [*await session.scalars(first)]
    said = "\n\n".join(message.text[:MAX_SHOWN_LENGTH] for message in messages)
    answer = next((message.answer for message in messages if message.answer), None)
    # Of an account that anybody may use the answer is charged to a visitor, and so is its title.
    site = run.service(LanguageModel)
    charged = site.charged_to(answer.payer) if answer else site.for_user(conversation.owner_id)
    llm, _ = model_of(charged, conversation)
    with suppress(LLMError, TimeoutError):
        async with asyncio.timeout(TITLE_TIMEOUT_SECONDS):
            reply = await _reply_of(llm, said)
        if title := title_in(reply):
            await run.write(store_title, conversation_id, title)


async def _reply_of(llm: LanguageModel, said: str) -> str:
    reply = ""
    async with aclosing(llm.stream(said, system=TITLE_PROMPT)) as pieces:
        async for piece in pieces:
            reply += piece
            if len(reply) > MAX_REPLY_LENGTH:  # it goes on at somebody's expense
                break
    return reply


async def store_title(session: AsyncSession, conversation_id: int, title: str) -> None:
    untitled = col(Conversation.id) == conversation_id, col(Conversation.titled_by) == TitledBy.QUESTION
    await session.execute(update(Conversation).where(*untitled).values(title=title, titled_by=TitledBy.MODEL))


def gives_title(answer: Answer) -> bool:
    """Whether a first answer says enough for a title: a whole one, or one that its reader stopped."""
    return bool(answer.text) and answer.status in (AnswerStatus.DONE, AnswerStatus.TRUNCATED, AnswerStatus.STOPPED)


def title_in(reply: str) -> str:
    """The title that a model gave; nothing where it says something else."""
    title = reply.strip().removeprefix("Title:").strip(" \"'“”„«»*#`.")
    return title if len(title) <= MAX_FIRST_WORDS_LENGTH and title.isprintable() else ""
