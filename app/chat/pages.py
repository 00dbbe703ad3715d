import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from app.chat import answering
from app.chat.dependencies import (
    CurrentAnswer,
    CurrentConversation,
    CurrentConversationView,
    CurrentMessage,
    CurrentQuestion,
    CurrentStream,
    FoundConversation,
)
from app.chat.jobs import gives_title
from app.chat.models import Conversation, Message
from app.chat.periods import by_period
from app.chat.schemas import ConversationFilter, ConversationForm, ConversationSettings, MessageForm
from app.chat.service import Chat, ConversationView, QuestionTooLongError
from app.chat.shown import ShownMessage, all_shown
from opportune.accounts import CurrentUser
from opportune.errors import FieldErrors
from opportune.llm import (
    Answer,
    AnswerManager,
    AnswerRunning,
    Answers,
    AttachmentRefused,
    ShownAnswer,
    SpendingRefused,
    TooManyAnswers,
    answer_gone,
)
from opportune.storage import StorageError
from opportune.web import EventStream, Form, flash, is_htmx, read_form, redirect, templates

router = APIRouter(prefix="/chat")

PAGE = "chat/chat.html"

Wanted = Annotated[ConversationFilter, Query()]

DELETED = "This conversation has been deleted meanwhile. Start a new one with this question."

# What asking may be answered instead: the words for it and the status.
REFUSALS: dict[type[Exception], tuple[str, int]] = {
    AnswerRunning: ("The last answer is still being written. Wait for it or stop it.", 409),
    TooManyAnswers: ("You have several answers running in other conversations. Wait for one or stop it.", 429),
    QuestionTooLongError: ("", 422),
    SpendingRefused: ("", 429),
    FieldErrors: ("", 422),
    AttachmentRefused: ("", 422),
    StorageError: ("", 503),
}


@router.get("")
async def index(request: Request, user: CurrentUser, answers: Answers, wanted: Wanted) -> HTMLResponse:
    return await _page(request, user.id, answers, None, wanted=wanted)


@router.post("")
async def begin(request: Request, user: CurrentUser, answers: Answers) -> Response:
    form = await read_form(request, ConversationForm)
    if form.data is None:
        return await _refuse(request, user.id, answers, None, form)
    data = form.data
    with _refusals_in(form):
        question, _ = await answering.ask(answers, user.id, None, data, files=data.attachments, settings=data)
    if form.errors:
        return await _refuse(request, user.id, answers, None, form)
    return redirect(request, f"/chat/{question.conversation_id}")


@router.get("/{conversation_id}")
async def conversation(
    request: Request, user: CurrentUser, answers: Answers, view: CurrentConversationView, wanted: Wanted
) -> HTMLResponse:
    if not is_htmx(request):
        return await _page(request, user.id, answers, view, wanted=wanted)
    return templates.render_block(request, PAGE, "brought", await _messages(view))


@router.post("/{conversation_id}/messages")
async def ask(request: Request, user: CurrentUser, answers: Answers, conversation: FoundConversation) -> Response:
    form = await read_form(request, MessageForm)
    if conversation is None:
        form.refuse(DELETED, "content", 404)
        return await _refuse(request, user.id, answers, None, form)
    if form.data is None:
        return await _refuse(request, user.id, answers, conversation.id, form)
    data = form.data
    with _refusals_in(form):
        await answering.ask(answers, user.id, conversation.id, data, seen=data.last, files=data.attachments)
    if is_htmx(request):
        return await _news(request, user.id, answers, conversation.id, form, data.last)
    if form.errors:
        return await _refuse(request, user.id, answers, conversation.id, form)
    return redirect(request, f"/chat/{conversation.id}")


@router.post("/{conversation_id}/settings")
async def configure(
    request: Request, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> Response:
    form = await read_form(request, ConversationSettings)
    if await form.save(lambda settings: answering.configure(answers, user.id, conversation, settings)):
        flash(request, "This holds from the next answer on.")
        return redirect(request, f"/chat/{conversation.id}")
    view = await answering.view_conversation(answers, user.id, conversation.id)
    return await _page(request, user.id, answers, view, settings=form)


@router.get("/{conversation_id}/stream", response_class=EventStream)
async def stream(request: Request, answer_stream: CurrentStream) -> EventStream:
    if answer_stream is None:  # signed out or deleted: htmx would ask again for ever after any other answer
        return EventStream(answer_gone())

    async def article(answer: Answer) -> str:
        shown = ShownMessage(answer_stream.message, await ShownAnswer.of(answer), answer_stream.branches)
        html = templates.render_block_to_string(request, "chat/message.html", "message", {"shown": shown})
        if not (answer_stream.awaits_title and gives_title(answer)):
            return html
        waiting = {"conversation_id": answer_stream.message.conversation_id, "tries": 0}
        return html + templates.render_block_to_string(request, "chat/title.html", "waiting", waiting)

    return EventStream(answer_stream.html(article, "m"))


@router.post("/messages/{message_id}/stop")
async def stop(request: Request, user: CurrentUser, answers: Answers, answer: CurrentAnswer) -> Response:
    await answering.stop(answers, answer)
    # With htmx the stream brings the answer's last state.
    return Response(status_code=204) if is_htmx(request) else redirect(request, f"/chat/{answer.conversation_id}")


@router.post("/messages/{message_id}/edit")
async def edit(request: Request, user: CurrentUser, answers: Answers, question: CurrentQuestion) -> Response:
    form = await read_form(request, MessageForm)
    asked = question
    if data := form.data:
        with _refusals_in(form):
            asked, _ = await answering.ask(
                *(answers, user.id, question.conversation_id, data), instead_of=question, files=data.attachments
            )
    return await _branch(request, user.id, answers, asked, form)


@router.post("/messages/{message_id}/retry")
async def retry(request: Request, user: CurrentUser, answers: Answers, answer: CurrentAnswer) -> Response:
    form = Form(MessageForm)
    with _refusals_in(form), suppress(AnswerRunning):  # which is shown then
        _, answer = await answering.retry(answers, user.id, answer)
    return await _branch(request, user.id, answers, answer, form)


@router.post("/messages/{message_id}/continue")
async def resume(request: Request, user: CurrentUser, answers: Answers, answer: CurrentAnswer) -> Response:
    form = Form(MessageForm)
    with _refusals_in(form), suppress(AnswerRunning):
        await answering.resume(answers, answer)
    return await _branch(request, user.id, answers, answer, form)


@router.post("/messages/{message_id}/show")
async def show(request: Request, user: CurrentUser, answers: Answers, message: CurrentMessage) -> Response:
    async with answers.database.writer() as session:
        await Chat(session, user.id).show(message)
    return await _branch(request, user.id, answers, message, Form(MessageForm))


async def _branch(
    request: Request, user_id: int, answers: AnswerManager, message: Message, form: Form[Any]
) -> Response:
    """The shown branch, which has changed at a message; or what was refused."""
    if form.errors:
        return await _refuse(request, user_id, answers, message.conversation_id, form)
    path = f"/chat/{message.conversation_id}"
    view = await answering.view_conversation(answers, user_id, message.conversation_id)
    if view is None or message.id not in view.branches:  # it is far from the end
        return redirect(request, f"{path}?at={message.id}#m{message.id}")
    if not is_htmx(request):
        return redirect(request, f"{path}#m{message.id}")
    context = await _messages(view) | await _composer(answers, user_id, form, 0, view.messages)
    return templates.render_block(request, PAGE, "branch", context)


async def _news(
    request: Request, user_id: int, answers: AnswerManager, conversation_id: int, form: Form[Any], last: int
) -> HTMLResponse:
    """What has come since the last message that a page shows: what it asked, and what another tab did.

    What was refused is refused for the answer that another tab waits for, too, which is shown then.
    """
    view = await answering.view_news(answers, user_id, conversation_id, last)
    form = form if form.errors else Form(MessageForm)
    context = await _messages(view) | await _composer(answers, user_id, form, last, view.messages if view else ())
    return templates.render_block(request, PAGE, "asked", context, form.status)


async def _page(
    request: Request,
    user_id: int,
    answers: AnswerManager,
    view: ConversationView | None,
    form: Form[Any] | None = None,
    wanted: ConversationFilter | None = None,
    settings: Form[Any] | None = None,
) -> HTMLResponse:
    messages = view.messages if view else []
    form = form or Form(MessageForm if view else ConversationForm)
    context = await _composer(answers, user_id, form, 0, messages)
    context |= _settings(answers, view.conversation if view else None, settings or form)
    wanted = wanted or ConversationFilter()
    async with answers.database.reader() as session:
        chat = Chat(session, user_id)
        if view and wanted.model_fields_set <= {"size"}:  # the list opens where the conversation stands
            wanted = wanted.model_copy(update={"page": await chat.page_of(view.conversation, wanted.size)})
        context["conversations"] = listed = await chat.conversations(wanted)
    # Grouped by the column by which they are sorted.
    context["periods"] = [("", listed.items)] if wanted.sort else by_period(listed.items)
    context |= {**await _messages(view), "fault": answers.llm.fault, "silence": ShownAnswer.silence_timeout}
    return templates.render(request, PAGE, context, settings.status if settings else form.status)


def _settings(answers: AnswerManager, conversation: Conversation | None, form: Form[Any]) -> dict[str, Any]:
    """Who answers here; a new conversation's settings are sent with its first question."""
    form = form if "model" in form.controls else Form(ConversationSettings, conversation)
    form.offer({"model": {"": f"{answers.llm.name}, the site's own", **answers.llm.choices}})
    model, stands_in = answering.model_of(answers.llm, conversation)
    return {
        "options": form,
        "model": model.name,
        "longest": answering.max_question_length(model),
        "stands_in": stands_in,
    }


async def _messages(view: ConversationView | None) -> dict[str, Any]:
    """What stands above the form."""
    messages = view.messages if view else []
    return {
        "conversation": view.conversation if view else None,
        "messages": await all_shown(view) if view else (),
        "earlier": view.earlier if view else None,
        "is_end": view is None or view.is_end,
        "answer": _running(messages),
    }


def _running(messages: Sequence[Message]) -> Message | None:
    return next((message for message in messages if message.is_running), None)


async def _composer(
    answers: AnswerManager, user_id: int, form: Form[Any], last: int, messages: Sequence[Message]
) -> dict[str, Any]:
    """What the form needs below a message and those that follow."""
    return {
        "form": form,
        "allowance": await answers.allowance(user_id),
        "client_key": form.value("client_key") or secrets.token_hex(8),  # sent twice, it is asked once
        "last": max((message.id for message in messages), default=last),
    }


async def _refuse(
    request: Request, user_id: int, answers: AnswerManager, conversation_id: int | None, form: Form[Any]
) -> HTMLResponse:
    """What is wrong with a question, which stays where it was typed."""
    if is_htmx(request):
        return templates.render_block(request, PAGE, "refused", {"form": form}, form.status)
    view = await answering.view_conversation(answers, user_id, conversation_id) if conversation_id else None
    return await _page(request, user_id, answers, view, form)


@contextmanager
def _refusals_in(form: Form[Any]) -> Iterator[None]:
    """Have the form say what is refused."""
    try:
        yield
    except tuple(REFUSALS) as refusal:
        words, status = REFUSALS[type(refusal)]
        form.refuse(words or str(refusal), "content", status)
