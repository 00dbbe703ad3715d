"""Dependencies of the chat's routes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Query, Request

from app.chat.answer_manager import AnswerManager
from app.chat.answering import ConversationView, view_conversation
from app.chat.events import parse_event_id
from app.chat.live_answer import LiveAnswer
from app.chat.models import Conversation, Message
from app.chat.service import Chat
from opportune.accounts import CurrentUser, OptionalUser
from opportune.db import MAX_ID, RowId


async def get_answer_manager(request: Request) -> AnswerManager:
    manager: AnswerManager = request.app.state.chat
    return manager


AnswerManagerDependency = Annotated[AnswerManager, Depends(get_answer_manager)]


async def find_conversation(
    conversation_id: RowId, user: CurrentUser, manager: AnswerManagerDependency
) -> Conversation | None:
    async with manager.database.reader() as session:
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
    conversation_id: RowId, user: CurrentUser, manager: AnswerManagerDependency, before: EarlierThan = None
) -> ConversationView:
    found = await view_conversation(manager, user.id, conversation_id, before)
    if found is None:
        raise HTTPException(404)
    return found


CurrentConversationView = Annotated[ConversationView, Depends(get_conversation_view)]
"""The same with its newest messages, or those before the one that the address names."""


async def get_answer(message_id: RowId, user: CurrentUser, manager: AnswerManagerDependency) -> Message:
    async with manager.database.reader() as session:
        answer = await Chat(session, user.id).answer(message_id)
    if answer is None:
        raise HTTPException(404)
    return answer


CurrentAnswer = Annotated[Message, Depends(get_answer)]
"""An answer in a conversation of the person who asks."""


@dataclass(frozen=True)
class AnswerStream:
    """An answer to stream from an offset in characters."""

    live: LiveAnswer
    offset: int


async def get_stream(
    request: Request,
    conversation_id: RowId,
    user: OptionalUser,
    manager: AnswerManagerDependency,
    after: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[AnswerStream | None]:
    """Find the answer that `Last-Event-ID` (or `after`, of a page) names, else the newest; None if there is none.

    A dependency and not a part of the stream: only so is the answer let go of at once when the visitor goes.
    """
    named = parse_event_id(last_event_id) or parse_event_id(after)
    answer = await _find(manager, user.id, conversation_id, named) if user else None
    async with AsyncExitStack() as stack:
        if answer is None:
            yield None
        else:
            live = await stack.enter_async_context(manager.view(answer))
            yield AnswerStream(live, named[1] if named and named[0] == answer.id else 0)


CurrentStream = Annotated[AnswerStream | None, Depends(get_stream)]


async def _find(
    manager: AnswerManager, owner_id: int, conversation_id: int, named: tuple[int, int] | None
) -> Message | None:
    # Fresh, since whoever lost a stream comes back to it later than a browser is known to have just written.
    async with manager.database.reader(fresh=True) as session:
        chat = Chat(session, owner_id)
        if not await chat.conversation(conversation_id):
            return None
        answer = await chat.answer(named[0]) if named else None
        if answer is None or answer.conversation_id != conversation_id:
            return await chat.newest_answer(conversation_id)
        return answer
