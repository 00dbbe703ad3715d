"""Pages of all answers: one answer, its stream, and forms to stop, retry, continue, approve and rate it."""

from typing import Annotated

from fastapi import Form, HTTPException, Request
from fastapi.responses import Response

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.sign_in_redirects import find_return_path
from opportune.contrib.answers.engine import rating as ratings
from opportune.contrib.answers.engine.attachments import find_attachments
from opportune.contrib.answers.engine.shown import ShownAnswer
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.dependencies import Answers, CurrentAnswer, CurrentStream
from opportune.contrib.answers.screens.events import answer_gone
from opportune.contrib.answers.screens.responses import answer_path, show_answer
from opportune.db import ReadSession, RowId, WriteSession
from opportune.storage import StorageDependency
from opportune.web import APIRouter, EventStream, is_htmx, redirect, templates
from opportune.web.redirects import safe_redirect_path

router = APIRouter(prefix="/answers")

Call = Annotated[int, Form(ge=0)]
"""Index of a tool call."""


@router.get("/attachments/{attachment_id}")
async def attachment(
    request: Request, attachment_id: RowId, user: CurrentUser, session: ReadSession, storage: StorageDependency
) -> Response:
    """Show a picture of the user, or download another file."""
    row = (await find_attachments(session, user.id, [attachment_id])).get(attachment_id)
    if row is None:
        raise HTTPException(404)
    return redirect(request, await storage.url(row.stored_as, download_as="" if row.is_picture else row.filename))


@router.get("/{answer_id}")
async def page(request: Request, answer: CurrentAnswer, answers: Answers) -> Response:
    return templates.render(request, "answers/page.html", {"answer": await answers.shown(answer)})


@router.get("/{answer_id}/stream", response_class=EventStream)
async def stream(request: Request, answer_stream: CurrentStream) -> EventStream:
    if answer_stream is None:
        return EventStream(answer_gone())

    async def article(answer: Answer) -> str:
        context = {"answer": await ShownAnswer.of(answer)}
        return templates.render_block_to_string(request, "answers/answer.html", "article", context)

    return EventStream(answer_stream.html(article))


@router.post("/{answer_id}/stop")
async def stop(request: Request, answer: CurrentAnswer, answers: Answers) -> Response:
    await answers.stop(answer)
    # With htmx, the stream sends the final state.
    return Response(status_code=204) if is_htmx(request) else redirect(request, answer_path(answer))


@router.post("/{answer_id}/approve")
async def approve(
    request: Request,
    answer: CurrentAnswer,
    session: WriteSession,
    answers: Answers,
    call: Call,
    rest: Annotated[bool, Form()] = False,
) -> Response:
    await answers.approve(session, answer, call, rest=rest)
    return _after_decision(request, answer)


@router.post("/{answer_id}/refuse")
async def refuse(
    request: Request, answer: CurrentAnswer, session: WriteSession, answers: Answers, call: Call
) -> Response:
    await answers.refuse(session, answer, call)
    return _after_decision(request, answer)


def _after_decision(request: Request, answer: Answer) -> Response:
    """Redirect to the page with the answer. With htmx, the stream sends the changes."""
    return Response(status_code=204) if is_htmx(request) else _back(request, answer)


def _back(request: Request, answer: Answer) -> Response:
    page = safe_redirect_path(find_return_path(request))
    return redirect(request, page if page != "/" else answer_path(answer))


@router.post("/{answer_id}/rate")
async def rate(
    request: Request, answer: CurrentAnswer, session: WriteSession, rating: Annotated[ratings.RatingUpdate, Form()]
) -> Response:
    rated = await ratings.rate(session, answer, rating)
    if not is_htmx(request):
        return _back(request, answer)
    return templates.render_block(request, "answers/rating.html", "rating", {"answer": rated})


@router.post("/{answer_id}/retry")
async def retry(request: Request, answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Response:
    return await show_answer(request, await answers.retry(session, answer))


@router.post("/{answer_id}/continue")
async def resume(request: Request, answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Response:
    return await show_answer(request, await answers.resume(session, answer))
