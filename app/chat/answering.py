"""Asks and reads, where the database and the running answers meet. Routes of pages and API call these.

These functions commit for themselves instead of taking the request's session: an answer may start only after its row is
there for all to see.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from app.chat.answer_manager import AnswerManager
from app.chat.answer_task import TRANSIENT_ERRORS
from app.chat.models import Conversation, Message, Status
from app.chat.prompt import build_prompt
from app.chat.schemas import MessageCreate
from app.chat.service import AnswerAuthor, AnswerRunningError, Chat, QuestionTooLongError
from opportune import llm
from opportune.db import Database


@dataclass(frozen=True)
class ConversationView:
    """A conversation as it is shown."""

    conversation: Conversation
    messages: list[Message]
    earlier: int | None
    """The question before which there are more; None if these are the first."""


@dataclass(frozen=True)
class Turn:
    """A question and its answer; `is_new` if the answer is still to be written."""

    question: Message
    answer: Message
    is_new: bool = True


async def view_conversation(
    manager: AnswerManager, owner_id: int, conversation_id: int, before: int | None = None
) -> ConversationView | None:
    """Read the end of a conversation of this owner, or what came before a question, with a running answer so far.

    Answers of dead processes are ended first, if the database can be written.
    """
    found = await _read_view(manager.database, owner_id, conversation_id, before)
    if found and any(map(manager.is_dead, found.messages)):
        with suppress(*TRANSIENT_ERRORS):
            await manager.end_dead(conversation_id)
            found = await _read_view(manager.database, owner_id, conversation_id, before)
    if found:
        await _add_text_so_far(manager, found.messages)
    return found


async def messages_after(manager: AnswerManager, owner_id: int, conversation_id: int, last: int) -> list[Message]:
    """Read what has come into a conversation of this owner since the last message that somebody has."""
    async with manager.database.reader() as session:
        messages = await Chat(session, owner_id).messages(conversation_id, after=last)
    await _add_text_so_far(manager, messages)
    return messages


async def ask(
    manager: AnswerManager, owner_id: int, conversation_id: int | None, question: MessageCreate
) -> tuple[Message, Message]:
    """Store a question, in a new conversation where none is named, and start its answer.

    The same `client_key` again gives what was stored the first time.

    Raises:
        AnswerRunningError, QuestionTooLongError, TooManyAnswersError: nothing was stored.
    """
    key = question.client_key
    if manager.llm.provider and llm.estimate_tokens(question.content) > manager.llm.context_budget:
        raise QuestionTooLongError(manager.max_question_length)

    async def store(chat: Chat) -> Turn:
        if key and (before := await chat.asked_before(key, conversation_id)):
            return Turn(*before, is_new=False)
        into = conversation_id or (await chat.begin(question.content)).id
        return Turn(*await chat.ask(into, question.content, AnswerAuthor(manager.worker, manager.llm.name), key))

    if conversation_id is not None:
        await manager.end_dead(conversation_id)
    return await _start(manager, owner_id, store)


async def retry(manager: AnswerManager, owner_id: int, answer: Message) -> tuple[Message, Message]:
    """Answer the same question once more.

    Raises:
        AnswerRunningError, TooManyAnswersError: nothing was stored.
    """

    async def store(chat: Chat) -> Turn:
        return Turn(*await chat.retry(answer, AnswerAuthor(manager.worker, manager.llm.name)))

    await manager.end_dead(answer.conversation_id)
    return await _start(manager, owner_id, store)


async def stop(manager: AnswerManager, owner_id: int, answer: Message) -> None:
    """Stop an answer, whichever process writes it."""
    async with manager.database.writer() as session:
        await Chat(session, owner_id).request_stop(answer)
    await manager.stop(answer.id)


async def _start(
    manager: AnswerManager, owner_id: int, store: Callable[[Chat], Awaitable[Turn]]
) -> tuple[Message, Message]:
    try:
        async with manager.database.writer() as session:
            chat = Chat(session, owner_id)
            await chat.lock()
            turn = await store(chat)
            earlier = await chat.messages(turn.question.conversation_id)
    except IntegrityError:  # a running answer that our own look-up did not count
        raise AnswerRunningError from None
    if turn.is_new:
        manager.start(turn.answer, build_prompt(earlier, turn.question, manager.llm.context_budget))
    return turn.question, turn.answer


async def _read_view(
    database: Database, owner_id: int, conversation_id: int, before: int | None
) -> ConversationView | None:
    async with database.reader() as session:
        chat = Chat(session, owner_id)
        conversation = await chat.conversation(conversation_id)
        return (
            ConversationView(conversation, *await chat.newest_messages(conversation_id, before))
            if conversation
            else None
        )


async def _add_text_so_far(manager: AnswerManager, messages: Sequence[Message]) -> None:
    for message in messages:
        if message.status == Status.STREAMING:
            message.text = await manager.text_so_far(message)
