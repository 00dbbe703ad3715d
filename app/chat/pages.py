from collections.abc import Iterator
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
from app.chat.page import CurrentPage
from app.chat.schemas import (
    ConversationFilter,
    ConversationForm,
    ConversationPageFilter,
    ConversationSettings,
    MessageForm,
)
from app.chat.service import Chat, QuestionTooLongError
from app.chat.shown import ShownMessage
from opportune.accounts import CurrentUser
from opportune.errors import FieldErrors
from opportune.llm import (
    Answer,
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

Wanted = Annotated[ConversationFilter, Query()]
WantedBesideConversation = Annotated[ConversationPageFilter, Query()]

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
async def index(user: CurrentUser, page: CurrentPage, wanted: Wanted) -> HTMLResponse:
    return await page.show(None, wanted=wanted)


@router.post("")
async def begin(request: Request, user: CurrentUser, answers: Answers, page: CurrentPage) -> Response:
    form = await read_form(request, ConversationForm)
    if form.data is None:
        return await page.refuse(None, form)
    data = form.data
    with _refusals_in(form):
        question, _ = await answering.ask(answers, user.id, None, data, files=data.attachments, settings=data)
    if form.errors:
        return await page.refuse(None, form)
    return redirect(request, f"/chat/{question.conversation_id}")


@router.get("/{conversation_id}")
async def conversation(
    request: Request,
    user: CurrentUser,
    page: CurrentPage,
    view: CurrentConversationView,
    wanted: WantedBesideConversation,
) -> HTMLResponse:
    return await (page.show_earlier(view) if is_htmx(request) else page.show(view, wanted=wanted))


@router.post("/{conversation_id}/messages")
async def ask(
    request: Request, user: CurrentUser, answers: Answers, page: CurrentPage, conversation: FoundConversation
) -> Response:
    form = await read_form(request, MessageForm)
    if conversation is None:
        form.refuse(DELETED, "content", 404)
        return await page.refuse(None, form)
    if form.data is None:
        return await page.refuse(conversation.id, form)
    data = form.data
    with _refusals_in(form):
        await answering.ask(answers, user.id, conversation.id, data, seen=data.last, files=data.attachments)
    if is_htmx(request):
        return await page.show_news(conversation.id, form, data.last)
    if form.errors:
        return await page.refuse(conversation.id, form)
    return redirect(request, f"/chat/{conversation.id}")


@router.post("/{conversation_id}/settings")
async def configure(
    request: Request, user: CurrentUser, answers: Answers, page: CurrentPage, conversation: CurrentConversation
) -> Response:
    form = await read_form(request, ConversationSettings)
    if await form.save(lambda settings: answering.configure(answers, user.id, conversation, settings)):
        flash(request, "This holds from the next answer on.")
        return redirect(request, f"/chat/{conversation.id}")
    view = await answering.view_conversation(answers, user.id, conversation.id)
    return await page.show(view, settings=form)


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
async def edit(
    request: Request, user: CurrentUser, answers: Answers, page: CurrentPage, question: CurrentQuestion
) -> Response:
    form = await read_form(request, MessageForm)
    asked = question
    if data := form.data:
        with _refusals_in(form):
            asked, _ = await answering.ask(
                *(answers, user.id, question.conversation_id, data), instead_of=question, files=data.attachments
            )
    return await page.show_branch(asked, form)


@router.post("/messages/{message_id}/retry")
async def retry(user: CurrentUser, answers: Answers, page: CurrentPage, answer: CurrentAnswer) -> Response:
    form = Form(MessageForm)
    with _refusals_in(form), suppress(AnswerRunning):  # which is shown then
        _, answer = await answering.retry(answers, user.id, answer)
    return await page.show_branch(answer, form)


@router.post("/messages/{message_id}/continue")
async def resume(user: CurrentUser, answers: Answers, page: CurrentPage, answer: CurrentAnswer) -> Response:
    form = Form(MessageForm)
    with _refusals_in(form), suppress(AnswerRunning):
        await answering.resume(answers, answer)
    return await page.show_branch(answer, form)


@router.post("/messages/{message_id}/show")
async def show(user: CurrentUser, answers: Answers, page: CurrentPage, message: CurrentMessage) -> Response:
    async with answers.database.writer() as session:
        await Chat(session, user.id).show(message)
    return await page.show_branch(message, Form(MessageForm))


@contextmanager
def _refusals_in(form: Form[Any]) -> Iterator[None]:
    """Have the form say what is refused."""
    try:
        yield
    except tuple(REFUSALS) as refusal:
        words, status = REFUSALS[type(refusal)]
        form.refuse(words or str(refusal), "content", status)
