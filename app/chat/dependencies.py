"""Dependencies of the chat's routes."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.comparison import find_beside
from app.chat.conversation_view import ConversationView, ShownMessage, view_conversation
from app.chat.conversations import Conversations, find_newest_answer, find_siblings
from app.chat.models import Conversation, Message, Role, TitledBy
from opportune.accounts import CurrentUser, OptionalUser
from opportune.contrib.answers import Answers, AnswerStream, StreamPosition
from opportune.db import MAX_ID, RowId
from opportune.errors import require_found


async def find_conversation(conversation_id: RowId, user: CurrentUser, answers: Answers) -> Conversation | None:
    async with answers.database.reader() as session:
        return await Conversations(session, user.id).get(conversation_id)


OptionalConversation = Annotated[Conversation | None, Depends(find_conversation)]


async def get_conversation(conversation: OptionalConversation) -> Conversation:
    return require_found(conversation)


CurrentConversation = Annotated[Conversation, Depends(get_conversation)]
"""A conversation of the current user. Conversations of other users are not found."""


MAX_POLLS = 4
"""Polls of a page for the title or suggestions of the model with doubled delays: half a minute in total."""
Tries = Annotated[int, Query(ge=0, le=MAX_POLLS)]
MessageId = Annotated[int | None, Query(ge=1, le=MAX_ID)]


async def get_conversation_view(
    conversation_id: RowId, user: CurrentUser, answers: Answers, before: MessageId = None, at: MessageId = None
) -> ConversationView:
    return require_found(await view_conversation(answers, user.id, conversation_id, before=before, at=at))


CurrentConversationView = Annotated[ConversationView, Depends(get_conversation_view)]
"""The newest messages of the conversation, or the ones selected by `before` or `at`."""


async def get_message(message_id: RowId, user: CurrentUser, answers: Answers) -> Message:
    async with answers.database.reader() as session:
        return require_found(await Conversations(session, user.id).find_message(message_id))


CurrentMessage = Annotated[Message, Depends(get_message)]
"""A message in a conversation of the current user."""


def message_by(role: Role) -> Any:
    """Return a dependency for messages of the model or of the user only."""

    async def get_message_by_role(message: CurrentMessage) -> Message:
        return require_found(message if message.role == role else None)

    return Depends(get_message_by_role)


CurrentAnswer = Annotated[Message, message_by(Role.ASSISTANT)]
CurrentQuestion = Annotated[Message, message_by(Role.USER)]


@dataclass(frozen=True)
class MessageStream(AnswerStream):
    """The answer of a message as it grows."""

    shown: ShownMessage
    """The message without its answer."""
    awaits_title: bool
    """True if the model will write a title after this answer."""


async def get_stream(
    conversation_id: RowId, user: OptionalUser, answers: Answers, position: StreamPosition = None
) -> MessageStream | None:
    """Return the answer at the client's position, or the newest one. None if it does not exist."""
    if user is None:
        return None
    # A replica may be behind the client that reconnects, so read from the primary database.
    async with answers.database.reader(fresh=True) as session:
        conversations = Conversations(session, user.id)
        conversation = await conversations.get(conversation_id)
        message = await _find_streamed_answer(conversations, conversation_id, position) if conversation else None
        if conversation is None or message is None or message.answer is None:
            return None
        awaits_title = await _awaits_title(session, conversation, message)
        branches = (await find_siblings(session, [message]))[message.id]
        beside = await find_beside(session, message)
    offset = position[1] if position and position[0] == message.id else 0
    # The answer's prompt is the whole conversation, so a stream of each viewer must not hold its own answer.
    shown = ShownMessage(
        Message(**message.model_dump()),
        None,
        branches,
        is_column=beside is not None,
        is_current=message.id == conversation.leaf_id,
    )
    return MessageStream(answers.view(message.answer), offset, message.id, shown, awaits_title)


async def _find_streamed_answer(
    conversations: Conversations, conversation_id: int, position: tuple[int, int] | None
) -> Message | None:
    message = await conversations.find_message(position[0]) if position else None
    if message and message.conversation_id == conversation_id and message.role == Role.ASSISTANT:
        return message
    return await find_newest_answer(conversations.session, conversation_id)


async def _awaits_title(session: AsyncSession, conversation: Conversation, message: Message) -> bool:
    """Return whether the model will write a title after this answer, because it is the first one."""
    is_untitled = conversation.titled_by == TitledBy.QUESTION and not conversation.is_temporary
    is_of_first_model = message.answer is not None and message.answer.topic == conversation.topic
    if not (is_untitled and is_of_first_model):
        return False
    is_first = col(Message.id) == message.parent_id, col(Message.parent_id).is_(None)
    return await session.scalar(select(col(Message.id)).where(*is_first)) is not None


CurrentStream = Annotated[MessageStream | None, Depends(get_stream)]
