"""Dependencies of the chat's routes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Query

from app.chat.answering import ConversationView, view_conversation
from app.chat.models import Conversation, Message
from app.chat.service import Chat
from opportune.accounts import CurrentUser, OptionalUser
from opportune.db import MAX_ID, RowId
from opportune.llm import AnswerManager, Answers, AnswerStream, parse_event_id


async def find_conversation(conversation_id: RowId, user: CurrentUser, answers: Answers) -> Conversation | None:
    async with answers.database.reader() as session:
        return await Chat(session, user.id).conversation(conversation_id)


FoundConversation = Annotated[Conversation | None, Depends(find_conversation)]


async def get_conversation(found: FoundConversation) -> Conversation:
    if found is None:
        raise HTTPException(404)
    return found


CurrentConversation = Annotated[Conversation, Depends(get_conversation)]
"""A conversation of the person who asks; another's is not found."""


EarlierThan = Annotated[int | None, Query(ge=1, le=MAX_ID)]


async def get_conversation_view(
    conversation_id: RowId, user: CurrentUser, answers: Answers, before: EarlierThan = None
) -> ConversationView:
    found = await view_conversation(answers, user.id, conversation_id, before)
    if found is None:
        raise HTTPException(404)
    return found


CurrentConversationView = Annotated[ConversationView, Depends(get_conversation_view)]
"""The same with its newest messages, or those before the one that the address names."""


async def get_answer(message_id: RowId, user: CurrentUser, answers: Answers) -> Message:
    async with answers.database.reader() as session:
        answer = await Chat(session, user.id).answer(message_id)
    if answer is None:
        raise HTTPException(404)
    return answer


CurrentAnswer = Annotated[Message, Depends(get_answer)]
"""An answer in a conversation of the person who asks."""


@dataclass(frozen=True)
class MessageStream(AnswerStream):
    """The answer in the place of a message, as it grows."""

    message: Message


async def get_stream(
    conversation_id: RowId,
    user: OptionalUser,
    answers: Answers,
    after: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[MessageStream | None]:
    """Find the answer that `Last-Event-ID` (or `after`, of a page) names, else the newest; None if there is none.

    A dependency and not a part of the stream: only so is the answer let go of at once when the visitor goes.
    """
    named = parse_event_id(last_event_id) or parse_event_id(after)
    message = await _find(answers, user.id, conversation_id, named) if user else None
    if message is None or message.answer is None:
        yield None
        return
    async with answers.view(message.answer) as live:
        yield MessageStream(live, named[1] if named and named[0] == message.id else 0, message.id, message)


CurrentStream = Annotated[MessageStream | None, Depends(get_stream)]


async def _find(
    answers: AnswerManager, owner_id: int, conversation_id: int, named: tuple[int, int] | None
) -> Message | None:
    # Fresh, since whoever lost a stream comes back to it later than a browser is known to have just written.
    async with answers.database.reader(fresh=True) as session:
        chat = Chat(session, owner_id)
        if not await chat.conversation(conversation_id):
            return None
        answer = await chat.answer(named[0]) if named else None
        if answer is None or answer.conversation_id != conversation_id:
            return await chat.newest_answer(conversation_id)
        return answer
