import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from markupsafe import Markup

from app.chat import answering, live_answer
from app.chat.answer_manager import AnswerManager
from app.chat.answering import ConversationView
from app.chat.dependencies import (
    AnswerManagerDependency,
    CurrentAnswer,
    CurrentConversation,
    CurrentConversationView,
    CurrentStream,
    FoundConversation,
)
from app.chat.events import html_events
from app.chat.models import Message, Role, Status
from app.chat.schemas import ConversationFilter, MessageCreate, MessageForm
from app.chat.service import AnswerRunningError, Chat, QuestionTooLongError, TooManyAnswersError
from opportune.accounts import CurrentUser
from opportune.web import Form, MarkdownBlocks, flash, is_htmx, markdown, read_form, redirect, templates

router = APIRouter(prefix="/chat")

PAGE = "chat/chat.html"

Wanted = Annotated[ConversationFilter, Query()]

DELETED = "This conversation has been deleted meanwhile. Start a new one with this question."

# What asking may be answered instead: the words for it and the status.
REFUSALS: dict[type[Exception], tuple[str, int]] = {
    AnswerRunningError: ("The last answer is still being written. Wait for it or stop it.", 409),
    TooManyAnswersError: ("You have several answers running in other conversations. Wait for one or stop it.", 429),
    QuestionTooLongError: ("", 422),
}


@router.get("")
async def index(request: Request, user: CurrentUser, manager: AnswerManagerDependency, wanted: Wanted) -> HTMLResponse:
    return await _page(request, user.id, manager, None, wanted=wanted)


@router.post("")
async def begin(request: Request, user: CurrentUser, manager: AnswerManagerDependency) -> Response:
    form = await read_form(request, MessageCreate)
    if form.data is None:
        return await _refuse(request, user.id, manager, None, form)
    try:
        question, _ = await answering.ask(manager, user.id, None, form.data)
    except tuple(REFUSALS) as refusal:
        _say(form, refusal)
        return await _refuse(request, user.id, manager, None, form)
    return redirect(request, f"/chat/{question.conversation_id}")


@router.get("/{conversation_id}")
async def conversation(
    request: Request, user: CurrentUser, manager: AnswerManagerDependency, view: CurrentConversationView, wanted: Wanted
) -> HTMLResponse:
    if not is_htmx(request):
        return await _page(request, user.id, manager, view, wanted=wanted)
    return templates.render_block(request, PAGE, "brought", await _messages(view))


@router.post("/{conversation_id}/messages")
async def ask(
    request: Request, user: CurrentUser, manager: AnswerManagerDependency, conversation: FoundConversation
) -> Response:
    form = await read_form(request, MessageForm)
    if conversation is None:
        form.refuse(DELETED, "content", 404)
        return await _refuse(request, user.id, manager, None, form)
    if form.data is None:
        return await _refuse(request, user.id, manager, conversation.id, form)
    try:
        await answering.ask(manager, user.id, conversation.id, form.data)
    except tuple(REFUSALS) as refusal:
        _say(form, refusal)
    if is_htmx(request):
        return await _news(request, user.id, manager, conversation.id, form, form.data.last)
    if form.errors:
        return await _refuse(request, user.id, manager, conversation.id, form)
    return redirect(request, f"/chat/{conversation.id}")


@router.post("/{conversation_id}/delete")
async def delete(
    request: Request, user: CurrentUser, manager: AnswerManagerDependency, conversation: CurrentConversation
) -> Response:
    async with manager.database.reader() as session:
        newest = await Chat(session, user.id).newest_answer(conversation.id)
    if newest:  # no other can be running
        await manager.stop(newest.id)
    async with manager.database.writer() as session:
        await Chat(session, user.id).delete(conversation)
    flash(request, f"The conversation “{conversation.title}” is deleted.")
    return redirect(request, "/chat")


@router.get("/{conversation_id}/stream", response_class=EventSourceResponse)
async def stream(request: Request, answer_stream: CurrentStream) -> AsyncIterator[ServerSentEvent]:
    if answer_stream is None:  # signed out or deleted: htmx would ask again for ever after any other answer
        yield ServerSentEvent(event="done", raw_data="gone")
        return

    async def article(message: Message) -> str:
        (shown,) = await _all_shown([message])
        return templates.render_block_to_string(request, "chat/message.html", "message", {"shown": shown})

    async for event in html_events(answer_stream.live, answer_stream.offset, article):
        yield event


@router.post("/messages/{message_id}/stop")
async def stop(
    request: Request, user: CurrentUser, manager: AnswerManagerDependency, answer: CurrentAnswer
) -> Response:
    await answering.stop(manager, user.id, answer)
    # With htmx the stream brings the answer's last state.
    return Response(status_code=204) if is_htmx(request) else redirect(request, f"/chat/{answer.conversation_id}")


@router.post("/messages/{message_id}/retry")
async def retry(
    request: Request, user: CurrentUser, manager: AnswerManagerDependency, answer: CurrentAnswer
) -> Response:
    try:
        _, again = await answering.retry(manager, user.id, answer)
    except tuple(REFUSALS):
        return redirect(request, f"/chat/{answer.conversation_id}")
    if not is_htmx(request):
        return redirect(request, f"/chat/{answer.conversation_id}")
    (shown,) = await _all_shown([again])
    return templates.render_block(request, PAGE, "retried", {"shown": shown, "answer": again})


async def _news(
    request: Request, user_id: int, manager: AnswerManager, conversation_id: int, form: Form[Any], last: int
) -> HTMLResponse:
    """What has come since the last message that a page shows: what it asked, and what another tab did.

    What was refused is refused for the answer that another tab waits for, too, which is shown then.
    """
    messages = await answering.messages_after(manager, user_id, conversation_id, last)
    context: dict[str, Any] = {"messages": await _all_shown(messages), "answer": _running(messages)}
    form = form if form.errors else Form(MessageForm)
    context |= _composer(manager, form, last, messages)
    return templates.render_block(request, PAGE, "asked", context, form.status)


async def _page(
    request: Request,
    user_id: int,
    manager: AnswerManager,
    view: ConversationView | None,
    form: Form[Any] | None = None,
    wanted: ConversationFilter | None = None,
) -> HTMLResponse:
    messages = view.messages if view else []
    form = form or Form(MessageForm)
    context = _composer(manager, form, 0, messages)
    wanted = wanted or ConversationFilter()
    async with manager.database.reader() as session:
        chat = Chat(session, user_id)
        if view and wanted.model_fields_set <= {"size"}:  # the list opens where the conversation stands
            wanted = wanted.model_copy(update={"page": await chat.page_of(view.conversation, wanted.size)})
        context["conversations"] = await chat.conversations(wanted)
    context |= {**await _messages(view), "fault": manager.llm.fault, "silence": live_answer.SILENCE_TIMEOUT_SECONDS}
    return templates.render(request, PAGE, context, form.status)


async def _messages(view: ConversationView | None) -> dict[str, Any]:
    """What stands above the form."""
    messages = view.messages if view else []
    return {
        "conversation": view.conversation if view else None,
        "messages": await _all_shown(messages),
        "earlier": view.earlier if view else None,
        "answer": _running(messages),
    }


def _running(messages: Sequence[Message]) -> Message | None:
    return next((message for message in messages if message.status == Status.STREAMING), None)


def _composer(manager: AnswerManager, form: Form[Any], last: int, messages: Sequence[Message]) -> dict[str, Any]:
    """What the form needs below a message and those that follow."""
    return {
        "form": form,
        "longest": manager.max_question_length,
        "model": manager.llm.name,
        "client_key": form.value("client_key") or secrets.token_hex(8),  # sent twice, it is asked once
        "last": max((message.id for message in messages), default=last),
    }


async def _refuse(
    request: Request, user_id: int, manager: AnswerManager, conversation_id: int | None, form: Form[Any]
) -> HTMLResponse:
    """What is wrong with a question, which stays where it was typed."""
    if is_htmx(request):
        return templates.render_block(request, PAGE, "refused", {"form": form}, form.status)
    view = await answering.view_conversation(manager, user_id, conversation_id) if conversation_id else None
    return await _page(request, user_id, manager, view, form)


def _say(form: Form[Any], refusal: Exception) -> None:
    words, status = REFUSALS[type(refusal)]
    form.refuse(words or str(refusal), "content", status)


async def _all_shown(messages: Sequence[Message]) -> list[dict[str, Any]]:
    # In a thread: long answers take long to render, and everybody else would wait.
    return await asyncio.to_thread(lambda: [_shown(message) for message in messages])


def _shown(message: Message) -> dict[str, Any]:
    """A message as its template wants it: an answer in finished blocks and, while it is written, the open one."""
    shown: dict[str, Any] = {
        "message": message,
        "running": message.status == Status.STREAMING,
        "blocks": [],
        "open": "",
    }
    if shown["running"]:
        blocks = MarkdownBlocks.of(message.text)
        return {**shown, "blocks": blocks.frozen, "open": blocks.open}
    if message.role == Role.ASSISTANT:
        shown["blocks"] = [_rendered(message.text)]
    return shown


@lru_cache(maxsize=128)
def _rendered(text: str) -> Markup:
    """An answer that has ended."""
    return markdown.render(text)
