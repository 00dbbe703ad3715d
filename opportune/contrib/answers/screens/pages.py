"""Pages of all answers: one answer, its stream, and forms to stop, continue, approve and rate it.

The forms include those that a model asks the user to fill in.
"""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi import Form as FormField
from fastapi.responses import Response

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.sign_in_redirects import find_return_path
from opportune.contrib.answers.engine import decisions
from opportune.contrib.answers.engine.attachments import find_attachments
from opportune.contrib.answers.engine.shown import ShownAnswer
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.dependencies import Answers, CurrentAnswer, CurrentStream, OwnAnswer
from opportune.contrib.answers.screens.events import answer_gone
from opportune.contrib.answers.screens.questions import answer_path, show_answer
from opportune.db import ReadSession, RowId, WriteSession
from opportune.errors import require_found
from opportune.storage import StorageDependency
from opportune.web import APIRouter, EventStream, Form, is_htmx, redirect, templates
from opportune.web.forms.forms import fill_form
from opportune.web.redirects import safe_redirect_path

router = APIRouter(prefix="/answers")

Call = Annotated[int, FormField(ge=0)]
"""Index of a tool call."""


@router.get("/attachments/{attachment_id}")
async def attachment(
    request: Request, attachment_id: RowId, user: CurrentUser, session: ReadSession, storage: StorageDependency
) -> Response:
    """Show a picture of the user, or download another file."""
    row = require_found((await find_attachments(session, user.id, [attachment_id])).get(attachment_id))
    return redirect(request, await storage.url(row.stored_as, download_as="" if row.is_picture else row.filename))


@router.get("/{answer_id}")
async def page(request: Request, answer: OwnAnswer, answers: Answers) -> Response:
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
async def stop(request: Request, answer: OwnAnswer, answers: Answers) -> Response:
    await answers.stop(answer)
    return _after_decision(request, answer)


@router.post("/{answer_id}/approve")
async def approve(
    request: Request,
    answer: CurrentAnswer,
    session: WriteSession,
    answers: Answers,
    call: Call,
    rest: Annotated[bool, FormField()] = False,
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
    """Redirect to the page with the answer. With htmx, the stream sends the changes and the final state."""
    return Response(status_code=204) if is_htmx(request) else _back(request, answer)


def _back(request: Request, answer: Answer) -> Response:
    page = safe_redirect_path(find_return_path(request))
    return redirect(request, page if page != "/" else answer_path(answer))


async def _get_form(answer: CurrentAnswer, answers: Answers, call: int) -> Form[Any] | None:
    model = decisions.find_question(answer, call, answers.toolbox)
    return Form(model, prefix=f"call-{answer.id}-{call}-") if model else None


ReplyForm = Annotated[Form[Any] | None, Depends(_get_form)]
"""The empty form of a question. None if the call waits no longer."""


@router.get("/{answer_id}/reply/{call}")
async def show_question(request: Request, answer: CurrentAnswer, form: ReplyForm, call: int) -> Response:
    return _show_question(request, answer, call, form)


@router.post("/{answer_id}/reply/{call}")
async def reply(request: Request, answer: CurrentAnswer, answers: Answers, form: ReplyForm, call: int) -> Response:
    data = (await fill_form(request, form)).data if form else None
    if data is not None:
        async with answers.database.writer() as session:
            await answers.reply(session, answer, call, data)
        form = None
    return _show_question(request, answer, call, form)


def _show_question(request: Request, answer: Answer, call: int, form: Form[Any] | None) -> Response:
    """Show the form, or redirect to the answer. With htmx, the stream shows the changes of the answer."""
    if form is None:
        return Response(status_code=204) if is_htmx(request) else redirect(request, answer_path(answer))
    context = {"row": answer, "place": call, "run": answer.tool_runs[call], "form": form}
    if is_htmx(request):
        return templates.render_block(request, "answers/reply.html", "reply", context, form.status)
    return templates.render(request, "answers/reply.html", context, form.status)


@router.post("/{answer_id}/rate")
async def rate(
    request: Request,
    answer: CurrentAnswer,
    session: WriteSession,
    rating: Annotated[decisions.RatingUpdate, FormField()],
) -> Response:
    rated = await decisions.rate(session, answer, rating)
    if not is_htmx(request):
        return _back(request, answer)
    return templates.render_block(request, "answers/rating.html", "rating", {"answer": rated})


@router.post("/{answer_id}/retry")
async def retry(request: Request, answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Response:
    return await show_answer(request, await answers.retry(session, answer))


@router.post("/{answer_id}/continue")
async def resume(request: Request, answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Response:
    return await show_answer(request, await answers.resume(session, answer))
