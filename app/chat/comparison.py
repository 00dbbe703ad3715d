"""Models that answer a question: one, or two side by side.

Each column has a topic, because only one answer per topic runs at a time. Both answers have the question as their
parent, so they are branches.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.conversations import conversation_id_column, message_id_column, parent_id_column
from app.chat.models import Conversation, Message
from app.chat.schemas import MAX_QUESTION_LENGTH, ConversationSettings
from opportune.contrib.answers import Answer, AnswerAttachment, AnswerRunning, AnswerStatus
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.errors import FieldErrors
from opportune.i18n import gettext

IS_RUNNING = col(Answer.status).in_([AnswerStatus.STREAMING, AnswerStatus.WAITING])


class AnswerStart(NamedTuple):
    """An answer to start, in its column of the page."""

    model: LanguageModel
    topic: str
    notice: str = ""
    """Notice for the user about a model that is not available."""


def answers_to_start(
    llm: LanguageModel, conversation: Conversation, repeated: Answer | None = None, default_model: str = ""
) -> list[AnswerStart]:
    """Return the answers to start for a question, or the one that replaces the answer `repeated`.

    The first model is last, because the newest message becomes the end of the current branch. The `default_model` is
    used if the conversation selects none.
    """
    if repeated and repeated.topic == conversation.beside_topic:
        model, notice = find_model(llm, repeated.model)
        return [AnswerStart(model, repeated.topic, notice)]
    model, notice = find_model(llm, conversation.model or default_model)
    second, missing = find_second_model(llm, conversation)
    first = AnswerStart(model, conversation.topic, f"{notice} {missing}".strip())
    if second is None or repeated:
        return [first]
    return [AnswerStart(second, conversation.beside_topic), first]


def find_model(llm: LanguageModel, name: str) -> tuple[LanguageModel, str]:
    """Return the model of this name, or the default with a notice for the user if it is not available."""
    try:
        return llm.using(name), ""
    except LlmError:
        if not llm.name:
            return llm, gettext("%(model)s is no longer available.", model=name)
        return llm, gettext("%(model)s is no longer available. %(other)s answers instead.", model=name, other=llm.name)


def find_second_model(llm: LanguageModel, conversation: Conversation) -> tuple[LanguageModel | None, str]:
    """Return the model that answers beside the first, and a notice for the user if it is not available."""
    name = conversation.compare_with
    if not name:
        return None, ""
    try:
        return llm.using(name), ""
    except LlmError:
        return None, gettext("%(model)s is no longer available. There is one answer.", model=name)


def check_models(llm: LanguageModel, settings: ConversationSettings) -> None:
    """Raise FieldErrors if a selected model does not exist."""
    for field in ("model", "compare_with"):
        try:
            llm.using(getattr(settings, field))
        except LlmError as error:
            raise FieldErrors({field: str(error)}) from None


def max_question_length(model: LanguageModel) -> int:
    """Return the maximum length of an English question to this model, in characters."""
    return min(MAX_QUESTION_LENGTH, 4 * model.context_budget) if model.provider else MAX_QUESTION_LENGTH


def belongs_to(table: type[Answer | AnswerAttachment], conversation: Conversation) -> ColumnElement[bool]:
    """Condition for the answers or files of a conversation, also those of the second model and of documents."""
    is_below = col(table.topic).startswith(f"{conversation.topic}:", autoescape=True)
    is_topic = (col(table.topic) == conversation.topic) | is_below
    return is_topic & (col(table.owner_id) == conversation.owner_id)


async def find_running_answers(session: AsyncSession, conversation_id: int) -> Sequence[Message]:
    query = select(Message).join(Answer, col(Answer.id) == col(Message.answer_id))
    return (await session.scalars(query.where(conversation_id_column == conversation_id, IS_RUNNING))).all()


async def require_one_question(session: AsyncSession, question: Message) -> None:
    """Raise AnswerRunning if an answer to another question of the conversation is running."""
    running = await find_running_answers(session, question.conversation_id)
    if any(message.parent_id != question.id for message in running):
        raise AnswerRunning


async def find_beside(session: AsyncSession, message: Message) -> Message | None:
    """Return the newest answer of the other model to the same question, if two models were compared."""
    if message.answer is None:
        return None
    query = (
        select(Message)
        .join(Answer, col(Answer.id) == col(Message.answer_id))
        .where(parent_id_column == message.parent_id, col(Answer.topic) != message.answer.topic)
    )
    return await session.scalar(query.order_by(message_id_column.desc()).limit(1))
