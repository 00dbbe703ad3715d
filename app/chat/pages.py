"""Pages of conversations."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import HTMLResponse, Response

from app.chat import service
from app.chat.chat_page import CurrentPage, poll_again
from app.chat.conversation_view import view_conversation
from app.chat.conversations import Conversations
from app.chat.dependencies import (
    CurrentAnswer,
    CurrentConversation,
    CurrentConversationView,
    CurrentMessage,
    CurrentQuestion,
    CurrentStream,
    MessageStream,
    OptionalConversation,
    Tries,
)
from app.chat.document_pages import read_panel
from app.chat.jobs import can_be_titled
from app.chat.models import Conversation
from app.chat.prompt import MAX_FOLLOW_UPS
from app.chat.schemas import (
    ConversationForm,
    ConversationPageFilter,
    ConversationSettings,
    MessageForm,
    NewConversationFilter,
)
from opportune.accounts import CurrentUser
from opportune.contrib.answers import (
    Answer,
    AnswerRunning,
    Answers,
    AnswerStatus,
    ShownAnswer,
    TooManyAnswers,
    answer_gone,
    refusals_in,
)
from opportune.i18n import gettext_lazy as _l
from opportune.web import APIRouter, EventStream, Form, flash, is_htmx, read_form, redirect, templates

router = APIRouter(prefix="/chat")

MESSAGE_ID_PREFIX = "m"
"""Prefix of the HTML ids of messages."""
DELETED = _l("This conversation has been deleted. Start a new one with this question.")

REFUSALS: dict[type[Exception], str] = {
    AnswerRunning: _l("The last answer is still being written. Wait for it or stop it."),
    TooManyAnswers: _l("You have several answers running in other conversations. Wait for one or stop it."),
}
"""Messages of this page for refused questions. Other refusals show the message of the exception."""


@router.get("")
async def show_new_conversation(
    user: CurrentUser, page: CurrentPage, filters: Annotated[NewConversationFilter, Query()]
) -> HTMLResponse:
    return await page.show(None, Form(ConversationForm, filters), filters)


@router.post("")
async def create_conversation(request: Request, user: CurrentUser, answers: Answers, page: CurrentPage) -> Response:
    form = await read_form(request, ConversationForm)
    if form.data is None:
        return await page.show_errors(None, form)
    data = form.data
    with refusals_in(form, "content", REFUSALS):
        question, _ = await service.ask(answers, user.id, None, data, files=data.attachments, settings=data)
    if form.errors:
        return await page.show_errors(None, form)
    return redirect(request, f"/chat/{question.conversation_id}")


@router.get("/{conversation_id}")
async def show_conversation(
    request: Request,
    user: CurrentUser,
    page: CurrentPage,
    answers: Answers,
    view: CurrentConversationView,
    filters: Annotated[ConversationPageFilter, Query()],
) -> HTMLResponse:
    if is_htmx(request):
        return await page.show_earlier_messages(view)
    panel = await read_panel(answers, user.id, filters.document, filters.version)
    return await page.show(view, filters=filters, panel=panel)


@router.post("/{conversation_id}/messages")
async def ask_question(
    request: Request, user: CurrentUser, answers: Answers, page: CurrentPage, conversation: OptionalConversation
) -> Response:
    form = await read_form(request, MessageForm)
    if conversation is None:
        form.refuse(DELETED, "content", 404)
        return await page.show_errors(None, form)
    if form.data is None:
        return await page.show_errors(conversation.id, form)
    data = form.data
    with refusals_in(form, "content", REFUSALS):
        await service.ask(answers, user.id, conversation.id, data, last_seen_id=data.last, files=data.attachments)
    if is_htmx(request):
        return await page.show_new_messages(conversation.id, form, data.last)
    if form.errors:
        return await page.show_errors(conversation.id, form)
    return redirect(request, f"/chat/{conversation.id}")


@router.post("/{conversation_id}/settings")
async def update_settings(
    request: Request, user: CurrentUser, answers: Answers, page: CurrentPage, conversation: CurrentConversation
) -> Response:
    form = await read_form(request, ConversationSettings)

    async def configure(settings: ConversationSettings) -> Conversation:
        # An empty field means the default, and not that the value stays the same.
        return await service.configure(answers, conversation, ConversationSettings(**settings.model_dump()))

    if await form.save(configure):
        flash(request, "Saved. The changes apply from the next answer on.")
        return redirect(request, f"/chat/{conversation.id}")
    view = await view_conversation(answers, user.id, conversation.id)
    return await page.show(view, settings=form)


@router.get("/{conversation_id}/stream", response_class=EventStream)
async def stream_answer(request: Request, answer_stream: CurrentStream) -> EventStream:
    if answer_stream is None:
        # The user signed out or deleted the conversation. After other responses htmx would reconnect forever.
        return EventStream(answer_gone())

    async def render_message(answer: Answer) -> str:
        message = replace(answer_stream.shown, answer=await ShownAnswer.of(answer))
        html = templates.render_block_to_string(request, "chat/message.html", "message", {"shown": message})
        for path in paths_to_poll(answer_stream, answer):
            html += templates.render_block_to_string(request, "chat/title.html", "poll", {"path": path, "tries": 0})
        return html

    return EventStream(answer_stream.html(render_message, MESSAGE_ID_PREFIX))


def paths_to_poll(stream: MessageStream, answer: Answer) -> Iterator[str]:
    """Yield the paths of what jobs write after an answer: a title, and suggested questions."""
    if stream.awaits_title and can_be_titled(answer):
        yield f"/chat/{stream.shown.message.conversation_id}/title"
    if MAX_FOLLOW_UPS and answer.status == AnswerStatus.DONE:
        yield f"/chat/messages/{stream.shown.message.id}/follow-ups"


@router.get("/messages/{message_id}/follow-ups")
async def show_follow_ups(
    request: Request, user: CurrentUser, answers: Answers, message: CurrentMessage, tries: Tries
) -> Response:
    """Return the suggested questions after the newest answer, or poll again."""
    async with answers.database.reader() as session:
        conversation = await Conversations(session, user.id).get(message.conversation_id)
    if conversation is None or conversation.leaf_id != message.id:
        return templates.partial("")
    if message.follow_ups:
        context = {"conversation": conversation, "follow_ups": message.follow_ups, "last": message.id}
        return templates.render_block(request, "chat/chat.html", "new_follow_ups", context)
    return poll_again(request, f"/chat/messages/{message.id}/follow-ups", tries)


@router.post("/messages/{message_id}/stop")
async def stop_answer(request: Request, user: CurrentUser, answers: Answers, answer: CurrentAnswer) -> Response:
    await service.stop(answers, answer)
    # With htmx the stream sends the final answer.
    return Response(status_code=204) if is_htmx(request) else redirect(request, f"/chat/{answer.conversation_id}")


@router.post("/messages/{message_id}/edit")
async def edit_question(
    request: Request, user: CurrentUser, answers: Answers, page: CurrentPage, question: CurrentQuestion
) -> Response:
    form = await read_form(request, MessageForm)
    if data := form.data:
        with refusals_in(form, "content", REFUSALS):
            question, _ = await service.ask(
                answers, user.id, question.conversation_id, data, replaced_question=question, files=data.attachments
            )
    return await page.show_branch(question, form)


@router.post("/messages/{message_id}/retry")
async def retry_answer(user: CurrentUser, answers: Answers, page: CurrentPage, answer: CurrentAnswer) -> Response:
    form = Form(MessageForm)
    with refusals_in(form, "content", REFUSALS), suppress(AnswerRunning):  # if it is running, the page shows it
        _, answer = await service.retry(answers, user.id, answer)
    return await page.show_branch(answer, form)


@router.post("/messages/{message_id}/continue")
async def resume_answer(user: CurrentUser, answers: Answers, page: CurrentPage, answer: CurrentAnswer) -> Response:
    form = Form(MessageForm)
    with refusals_in(form, "content", REFUSALS), suppress(AnswerRunning):
        await service.resume(answers, answer)
    return await page.show_branch(answer, form)


@router.post("/messages/{message_id}/show")
async def select_branch(user: CurrentUser, answers: Answers, page: CurrentPage, message: CurrentMessage) -> Response:
    async with answers.database.writer() as session:
        await Conversations(session, user.id).select_branch(message)
    return await page.show_branch(message, Form(MessageForm))
