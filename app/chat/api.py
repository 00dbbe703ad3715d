from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.chat import answering
from app.chat.dependencies import (
    CurrentAnswer,
    CurrentConversation,
    CurrentConversationView,
    CurrentStream,
)
from app.chat.models import Conversation, Message
from app.chat.schemas import (
    ConversationDetail,
    ConversationFilter,
    ConversationRead,
    MessageCreate,
    MessageCreated,
    MessageRead,
)
from app.chat.service import Chat, QuestionTooLongError
from opportune.accounts import CurrentUser, User
from opportune.db import ReadSession
from opportune.llm import AnswerManager, Answers, AnswerStream
from opportune.pagination import Page

router = APIRouter(prefix="/conversations", tags=["chat"])


@router.get("", response_model=Page[ConversationRead])
async def conversations(
    user: CurrentUser, session: ReadSession, wanted: Annotated[ConversationFilter, Query()]
) -> Page[Conversation]:
    return await Chat(session, user.id).conversations(wanted)


@router.post("", status_code=202)
async def begin(ask: MessageCreate, user: CurrentUser, answers: Answers) -> MessageCreated:
    """Start a new conversation with a question."""
    return _asked(*await _ask(answers, user, None, ask))


@router.get("/{conversation_id}")
async def conversation(view: CurrentConversationView) -> ConversationDetail:
    """The newest messages, in order. `?before=` what `earlier` says gives those before them."""
    messages = [MessageRead.of(message) for message in view.messages]
    read = ConversationRead.model_validate(view.conversation)
    return ConversationDetail(**read.model_dump(), messages=messages, earlier=view.earlier)


@router.post("/{conversation_id}/messages", status_code=202)
async def ask(
    ask: MessageCreate, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> MessageCreated:
    """Ask, and read the answer from `stream_url` as it comes."""
    return _asked(*await _ask(answers, user, conversation.id, ask))


async def _ask(
    answers: AnswerManager, user: User, conversation_id: int | None, ask: MessageCreate
) -> tuple[Message, Message]:
    try:
        return await answering.ask(answers, user.id, conversation_id, ask)
    except QuestionTooLongError as refusal:
        raise HTTPException(422, str(refusal)) from None


def _asked(question: Message, answer: Message) -> MessageCreated:
    return MessageCreated(
        message=MessageRead.of(question),
        answer=MessageRead.of(answer),
        stream_url=f"/api/v1/conversations/{question.conversation_id}/stream",
    )


async def get_existing_stream(user: CurrentUser, answer_stream: CurrentStream) -> AnswerStream:
    if answer_stream is None:
        raise HTTPException(404)
    return answer_stream


@router.get("/{conversation_id}/stream", response_class=EventSourceResponse)
async def stream(
    answer_stream: Annotated[AnswerStream, Depends(get_existing_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """The newest answer as `status`, `delta` (with `text`) and one `done` or `error`. `Last-Event-ID` resumes.

    After 15 seconds of silence comes a comment: where nothing comes for 40, the connection is lost.
    """
    async for event in answer_stream.json("message_id"):
        yield event


@router.post("/{conversation_id}/messages/{message_id}/stop", status_code=204)
async def stop(conversation_id: int, answer: CurrentAnswer, answers: Answers) -> None:
    if answer.conversation_id != conversation_id:
        raise HTTPException(404)
    await answering.stop(answers, answer)
