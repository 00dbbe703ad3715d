"""Dependencies of the chat's routes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Query

from app.chat.answering import view_conversation
from app.chat.models import Conversation, Message, Role, TitledBy
from app.chat.service import Chat, ConversationView
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


MessageId = Annotated[int | None, Query(ge=1, le=MAX_ID)]


async def get_conversation_view(
    conversation_id: RowId, user: CurrentUser, answers: Answers, before: MessageId = None, at: MessageId = None
) -> ConversationView:
    found = await view_conversation(answers, user.id, conversation_id, before, at)
    if found is None:
        raise HTTPException(404)
    return found


CurrentConversationView = Annotated[ConversationView, Depends(get_conversation_view)]
"""The same with its newest messages, those before the one that the address names, or those around it."""


async def find_message(message_id: RowId, user: CurrentUser, answers: Answers) -> Message:
    async with answers.database.reader() as session:
        message = await Chat(session, user.id).message(message_id)
    if message is None:
        raise HTTPException(404)
    return message


CurrentMessage = Annotated[Message, Depends(find_message)]
"""A message in a conversation of the person who asks."""


async def get_answer(message: CurrentMessage) -> Message:
    if message.role != Role.ASSISTANT:
        raise HTTPException(404)
    return message


CurrentAnswer = Annotated[Message, Depends(get_answer)]
"""One that is an answer."""


async def get_question(message: CurrentMessage) -> Message:
    if message.role != Role.USER:
        raise HTTPException(404)
    return message


CurrentQuestion = Annotated[Message, Depends(get_question)]
"""One that is a question."""


@dataclass(frozen=True)
class MessageStream(AnswerStream):
    """The answer in the place of a message, as it grows."""

    message: Message
    branches: Sequence[int]
    """What there is in the place of the message."""
    awaits_title: bool
    """Whether the model is asked for a title of the conversation when it ends."""


async def get_stream(
    conversation_id: RowId,
    user: OptionalUser,
    answers: Answers,
    after: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> MessageStream | None:
    """Find the answer that `Last-Event-ID` (or `after`, of a page) names, else the newest; None if there is none."""
    named = parse_event_id(last_event_id) or parse_event_id(after)
    found = await _find(answers, user.id, conversation_id, named) if user else None
    if found is None or found[0].answer is None:
        return None
    message, branches, awaits_title = found
    offset = named[1] if named and named[0] == message.id else 0
    # Not with its row of the answer, of which the prompt is the whole conversation: the view has one for all who look.
    alone = Message(**message.model_dump())
    return MessageStream(answers.view(found[0].answer), offset, message.id, alone, branches, awaits_title)


CurrentStream = Annotated[MessageStream | None, Depends(get_stream)]


async def _find(
    answers: AnswerManager, owner_id: int, conversation_id: int, named: tuple[int, int] | None
) -> tuple[Message, Sequence[int], bool] | None:
    # Fresh, since whoever lost a stream comes back to it later than a browser is known to have just written.
    async with answers.database.reader(fresh=True) as session:
        chat = Chat(session, owner_id)
        if not (conversation := await chat.conversation(conversation_id)):
            return None
        answer = await chat.message(named[0], Role.ASSISTANT) if named else None
        if answer is None or answer.conversation_id != conversation_id:
            answer = await chat.newest_answer(conversation_id)
        if answer is None:
            return None
        awaits_title = conversation.titled_by == TitledBy.QUESTION and (await chat.question(answer)).parent_id is None
        return answer, (await chat.branches([answer]))[answer.id], awaits_title
