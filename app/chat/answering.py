"""Asks and reads, where the database and the running answers meet. Routes of pages and API call these.

These functions commit for themselves instead of taking the request's session: what they give is there for all to see.
"""

from dataclasses import dataclass

from app.chat.models import Conversation, Message, topic_of
from app.chat.prompt import build_prompt
from app.chat.schemas import MAX_QUESTION_LENGTH, MessageCreate
from app.chat.service import Chat, QuestionTooLongError
from opportune.llm import AnswerManager, estimate_tokens


@dataclass(frozen=True)
class ConversationView:
    """A conversation as it is shown."""

    conversation: Conversation
    messages: list[Message]
    earlier: int | None
    """The question before which there are more; None if these are the first."""


def max_question_length(answers: AnswerManager) -> int:
    """The most characters of plain English that the model reads at a time."""
    return min(MAX_QUESTION_LENGTH, 4 * answers.llm.context_budget) if answers.llm.provider else MAX_QUESTION_LENGTH


async def view_conversation(
    answers: AnswerManager, owner_id: int, conversation_id: int, before: int | None = None
) -> ConversationView | None:
    """Read the end of a conversation of this owner, or what came before a question, with a running answer so far."""
    async with answers.database.reader() as session:
        chat = Chat(session, owner_id)
        conversation = await chat.conversation(conversation_id)
        if conversation is None:
            return None
        view = ConversationView(conversation, *await chat.newest_messages(conversation_id, before))
    await answers.refresh(message.answer for message in view.messages if message.answer)
    return view


async def messages_after(answers: AnswerManager, owner_id: int, conversation_id: int, last: int) -> list[Message]:
    """Read what has come into a conversation of this owner since the last message that somebody has."""
    async with answers.database.reader() as session:
        messages = await Chat(session, owner_id).messages(conversation_id, after=last)
    await answers.refresh(message.answer for message in messages if message.answer)
    return messages


async def ask(
    answers: AnswerManager, owner_id: int, conversation_id: int | None, question: MessageCreate
) -> tuple[Message, Message]:
    """Store a question, in a new conversation where none is named, and start its answer.

    The same `client_key` again gives what was stored the first time.

    Raises:
        AnswerRunning, QuestionTooLongError, TooManyAnswers: nothing was stored.
    """
    key = question.client_key
    if answers.llm.provider and estimate_tokens(question.content) > answers.llm.context_budget:
        raise QuestionTooLongError(max_question_length(answers))
    async with answers.database.writer() as session:
        chat = Chat(session, owner_id)
        await chat.lock()
        if key and (before := await chat.asked_before(key, conversation_id)):
            return before
        into = conversation_id or (await chat.begin(question.content)).id
        asked = await chat.ask(into, question.content, key)
        return asked, await _answer(answers, chat, asked)


async def retry(answers: AnswerManager, owner_id: int, answer: Message) -> tuple[Message, Message]:
    """Answer the same question once more.

    Raises:
        AnswerRunning, TooManyAnswers: nothing was stored.
    """
    async with answers.database.writer() as session:
        chat = Chat(session, owner_id)
        question = await chat.question(answer)
        return question, await _answer(answers, chat, question)


async def stop(answers: AnswerManager, message: Message) -> None:
    """Stop an answer, whichever process writes it."""
    if message.answer:
        await answers.stop(message.answer)


async def _answer(answers: AnswerManager, chat: Chat, question: Message) -> Message:
    earlier = await chat.messages(question.conversation_id)
    answer = await answers.ask(
        chat.session,
        build_prompt(earlier, question, answers.llm.context_budget),
        owner_id=chat.owner_id,
        topic=topic_of(question.conversation_id),
        tools=True,
    )
    return await chat.place(answer, question)
