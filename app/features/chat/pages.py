import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from markupsafe import Markup

from app.accounts.current import CurrentUser
from app.core.web.forms import Form, read_form
from app.core.web.markdown import render
from app.core.web.templating import is_htmx, templates
from app.features.chat import answering
from app.features.chat.answering import Thread
from app.features.chat.blocks import Blocks
from app.features.chat.current import CurrentAnswer, CurrentThread, CurrentView, RunsDependency
from app.features.chat.events import html_events
from app.features.chat.models import Message, Role, Status
from app.features.chat.runs import Runs
from app.features.chat.schemas import LONGEST_QUESTION, Ask
from app.features.chat.service import AnswerRunningError, Chat, TooManyAnswersError

router = APIRouter(prefix="/chat")

PAGE = "chat/chat.html"

REFUSALS = {
    AnswerRunningError: "The last answer is still being written. Wait for it or stop it.",
    TooManyAnswersError: "You have several answers running in other conversations. Wait for one or stop it.",
}


@router.get("")
async def index(request: Request, user: CurrentUser, runs: RunsDependency) -> HTMLResponse:
    return await _page(request, user.id, runs, None)


@router.post("")
async def begin(request: Request, user: CurrentUser, runs: RunsDependency) -> Response:
    form = await read_form(request, Ask)
    if form.data is None:
        return await _page(request, user.id, runs, None, form, 422)
    try:
        question, _ = await answering.ask(runs, user.id, None, form.data)
    except TooManyAnswersError as refusal:
        return await _page(request, user.id, runs, None, _refused(form, refusal), 429)
    return _go_to(request, f"/chat/{question.conversation_id}")


@router.get("/{conversation_id}")
async def conversation(
    request: Request, user: CurrentUser, runs: RunsDependency, thread: CurrentThread
) -> HTMLResponse:
    return await _page(request, user.id, runs, thread)


@router.post("/{conversation_id}/messages")
async def ask(request: Request, user: CurrentUser, runs: RunsDependency, thread: CurrentThread) -> Response:
    form = await read_form(request, Ask)
    if form.data is None:
        return await _page(request, user.id, runs, thread, form, 422)
    try:
        question, answer = await answering.ask(runs, user.id, thread.conversation.id, form.data)
    except (AnswerRunningError, TooManyAnswersError) as refusal:
        return await _page(request, user.id, runs, thread, _refused(form, refusal), 409)
    if not is_htmx(request):
        return _go_to(request, f"/chat/{thread.conversation.id}")
    shown = await _all_shown([question, answer])
    context = {"messages": shown, "answer": shown[1], "form": Form(), "client_key": _new_key()}
    return templates.block(request, PAGE, "asked", context)


@router.post("/{conversation_id}/delete")
async def delete(request: Request, user: CurrentUser, runs: RunsDependency, thread: CurrentThread) -> Response:
    for message in thread.messages:
        await runs.stop(message.id)
    async with runs.database.writer() as session:
        await Chat(session, user.id).delete(thread.conversation)
    return _go_to(request, "/chat")


@router.get("/{conversation_id}/stream", response_class=EventSourceResponse)
async def stream(request: Request, view: CurrentView) -> AsyncIterator[ServerSentEvent]:
    if view is None:  # signed out or deleted: htmx would ask again for ever after any other answer
        yield ServerSentEvent(event="done", raw_data="gone")
        return

    async def article(message: Message) -> str:
        (shown,) = await _all_shown([message])
        return templates.fragment(request, "chat/message.html", "message", {"shown": shown})

    async for event in html_events(view.live, view.offset, article):
        yield event


@router.post("/messages/{message_id}/stop")
async def stop(request: Request, user: CurrentUser, runs: RunsDependency, answer: CurrentAnswer) -> Response:
    await answering.stop(runs, user.id, answer)
    # With htmx the stream brings the answer's last state.
    return Response(status_code=204) if is_htmx(request) else _go_to(request, f"/chat/{answer.conversation_id}")


@router.post("/messages/{message_id}/retry")
async def retry(request: Request, user: CurrentUser, runs: RunsDependency, answer: CurrentAnswer) -> Response:
    try:
        _, again = await answering.retry(runs, user.id, answer)
    except (AnswerRunningError, TooManyAnswersError):
        return _go_to(request, f"/chat/{answer.conversation_id}")
    if not is_htmx(request):
        return _go_to(request, f"/chat/{answer.conversation_id}")
    (shown,) = await _all_shown([again])
    return templates.block(request, PAGE, "retried", {"shown": shown, "answer": shown})


async def _page(
    request: Request, user_id: int, runs: Runs, thread: Thread | None, form: Form[Ask] | None = None, status: int = 200
) -> HTMLResponse:
    form = form or Form()
    shown = await _all_shown(thread.messages if thread else [])
    context: dict[str, Any] = {
        "messages": shown,
        "form": form,
        "longest": LONGEST_QUESTION,
        "model": runs.model,
        "client_key": form.value("client_key") or _new_key(),
    }
    if status != 200 and is_htmx(request):
        return templates.block(request, PAGE, "refused", context, status)
    async with runs.database.reader() as session:
        context["conversations"] = await Chat(session, user_id).conversations()
    context["conversation"] = thread.conversation if thread else None
    context["answer"] = next((item for item in shown if item["running"]), None)
    return templates.page(request, PAGE, context, status)


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
        blocks = Blocks.of(message.text)
        return {**shown, "blocks": blocks.frozen, "open": blocks.open, "offset": len(message.text)}
    if message.role == Role.ASSISTANT:
        shown["blocks"] = [_rendered(message.text)]
    return shown


@lru_cache(maxsize=128)
def _rendered(text: str) -> Markup:
    """An answer that has ended."""
    return render(text)


def _new_key() -> str:
    """For the next question: sent twice, it is asked once."""
    return secrets.token_hex(8)


def _refused(form: Form[Ask], refusal: Exception) -> Form[Ask]:
    form.errors["content"] = REFUSALS[type(refusal)]
    return form


def _go_to(request: Request, path: str) -> Response:
    return Response(headers={"HX-Redirect": path}) if is_htmx(request) else RedirectResponse(path, 303)
