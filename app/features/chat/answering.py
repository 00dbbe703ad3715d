"""Asking and reading, where the database and the running answers meet. Routes of pages and API call these.

These functions commit for themselves instead of taking the request's session: an answer may start only after its row is
there for all to see.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from app.core.db.database import Database
from app.core.db.model import utc_now
from app.features.chat import record
from app.features.chat.models import Conversation, Message, Status
from app.features.chat.prompt import prompt
from app.features.chat.runs import Runs
from app.features.chat.schemas import Ask
from app.features.chat.service import AnswerRunningError, Chat


@dataclass(frozen=True)
class Thread:
    """A conversation as it is shown."""

    conversation: Conversation
    messages: list[Message]


async def thread(runs: Runs, owner_id: int, conversation_id: int) -> Thread | None:
    """A conversation of this owner, with what there is so far of a running answer.

    Answers of dead processes are ended first.
    """
    found = await _thread(runs.database, owner_id, conversation_id)
    if found and any(_expired(message) for message in found.messages):
        await record.interrupt_expired(runs.database, conversation_id)
        found = await _thread(runs.database, owner_id, conversation_id)
    for message in found.messages if found else []:
        if message.status == Status.STREAMING:
            message.text = await runs.text_so_far(message)
    return found


async def begin(runs: Runs, owner_id: int, ask: Ask) -> int:
    """Start a new conversation with its first question; gives its id."""

    async def store(chat: Chat) -> tuple[Message, Message]:
        conversation = await chat.begin(ask.content)
        return await chat.ask(conversation.id, ask.content, runs.worker, runs.model)

    question, _ = await _start(runs, owner_id, store)
    return question.conversation_id


async def ask(runs: Runs, owner_id: int, conversation_id: int, question: Ask) -> tuple[Message, Message]:
    """Store a question and start its answer; the same `client_key` again gives what was stored the first time.

    Raises:
        AnswerRunningError, TooManyAnswersError: nothing was stored.
    """
    await record.interrupt_expired(runs.database, conversation_id)

    async def store(chat: Chat) -> tuple[Message, Message]:
        return await chat.ask(conversation_id, question.content, runs.worker, runs.model, question.client_key)

    async with runs.database.reader() as session:
        key = question.client_key
        if key and (before := await Chat(session, owner_id).asked_before(conversation_id, key)):
            return before
    return await _start(runs, owner_id, store)


async def retry(runs: Runs, owner_id: int, answer: Message) -> tuple[Message, Message]:
    """Answer the same question once more.

    Raises:
        AnswerRunningError, TooManyAnswersError: nothing was stored.
    """
    await record.interrupt_expired(runs.database, answer.conversation_id)
    return await _start(runs, owner_id, lambda chat: chat.retry(answer, runs.worker, runs.model))


async def stop(runs: Runs, owner_id: int, answer: Message) -> None:
    """Stop an answer, whichever process writes it."""
    async with runs.database.writer() as session:
        await Chat(session, owner_id).request_stop(answer)
    await runs.stop(answer.id)


async def _start(
    runs: Runs, owner_id: int, store: Callable[[Chat], Awaitable[tuple[Message, Message]]]
) -> tuple[Message, Message]:
    try:
        async with runs.database.writer() as session:
            chat = Chat(session, owner_id)
            question, answer = await store(chat)
            earlier = await chat.messages(question.conversation_id)
    except IntegrityError:  # somebody was quicker: the index knows what our own look-up could not yet see
        raise AnswerRunningError from None
    runs.start(answer, prompt(earlier, question, runs.context_budget))
    return question, answer


async def _thread(database: Database, owner_id: int, conversation_id: int) -> Thread | None:
    async with database.reader() as session:
        chat = Chat(session, owner_id)
        conversation = await chat.conversation(conversation_id)
        return Thread(conversation, await chat.messages(conversation_id)) if conversation else None


def _expired(message: Message) -> bool:
    return message.status == Status.STREAMING and message.lease_until is not None and message.lease_until < utc_now()
