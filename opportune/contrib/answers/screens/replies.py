"""Forms that a model asks the user to fill in."""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response

from opportune.contrib.answers.engine.decisions import find_question
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.dependencies import Answers, CurrentAnswer
from opportune.contrib.answers.screens.responses import answer_path
from opportune.web import APIRouter, Form, is_htmx, redirect, templates
from opportune.web.forms.forms import fill_form

router = APIRouter(prefix="/answers")


async def get_form(answer: CurrentAnswer, answers: Answers, call: int) -> Form[Any] | None:
    model = find_question(answer, call, answers.resources)
    return Form(model, prefix=f"call-{answer.id}-{call}-") if model else None


ReplyForm = Annotated[Form[Any] | None, Depends(get_form)]
"""The empty form of a question. None if the call waits no longer."""


@router.get("/{answer_id}/reply/{call}")
async def show(request: Request, answer: CurrentAnswer, form: ReplyForm, call: int) -> Response:
    return _show(request, answer, call, form)


@router.post("/{answer_id}/reply/{call}")
async def reply(request: Request, answer: CurrentAnswer, answers: Answers, form: ReplyForm, call: int) -> Response:
    if form is None:
        return _show(request, answer, call, None)
    data = (await fill_form(request, form)).data
    if data is None:
        return _show(request, answer, call, form)
    async with answers.database.writer() as session:
        await answers.reply(session, answer, call, data)
    return _show(request, answer, call, None)


def _show(request: Request, answer: Answer, call: int, form: Form[Any] | None) -> Response:
    """Show the form, or redirect to the answer. With htmx, the stream shows the changes of the answer."""
    if form is None:
        return Response(status_code=204) if is_htmx(request) else redirect(request, answer_path(answer))
    context = {"row": answer, "place": call, "run": answer.tool_runs[call], "form": form}
    if is_htmx(request):
        return templates.render_block(request, "answers/reply.html", "reply", context, form.status)
    return templates.render(request, "answers/reply.html", context, form.status)
