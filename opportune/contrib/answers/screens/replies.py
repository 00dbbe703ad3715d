"""Forms that a model asks the user to fill in."""

from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel

from opportune.contrib.answers.engine.decisions import find_question
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.dependencies import Answers, CurrentAnswer
from opportune.contrib.answers.screens.shown import answer_path
from opportune.web import Form, is_htmx, read_form, redirect, templates
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/answers")


@router.get("/{answer_id}/reply/{call}")
async def show(request: Request, answer: CurrentAnswer, answers: Answers, call: int) -> Response:
    form = find_question(answer, _index(call), answers.resources)
    return _show(request, answer, call, Form(form, prefix=_prefix(answer, call))) if form else _done(request, answer)


@router.post("/{answer_id}/reply/{call}")
async def reply(request: Request, answer: CurrentAnswer, answers: Answers, call: int) -> Response:
    model = find_question(answer, _index(call), answers.resources)
    if model is None:  # another tab has replied
        return _done(request, answer)
    form = await read_form(request, model, prefix=_prefix(answer, call))
    if form.data is None:
        return _show(request, answer, call, form)
    await _store(answers, answer, call, form.data)
    return _done(request, answer)


async def _store(answers: AnswerManager, answer: Answer, call: int, data: BaseModel) -> None:
    async with answers.database.writer() as session:
        await answers.reply(session, answer, call, data)


def _index(call: int) -> int:
    if call < 0:
        raise HTTPException(404)
    return call


def _prefix(answer: Answer, call: int) -> str:
    return f"call-{answer.id}-{call}-"


def _show(request: Request, answer: Answer, call: int, form: Form[Any]) -> Response:
    context = {"row": answer, "place": call, "run": answer.tool_runs[call], "form": form}
    if is_htmx(request):
        return templates.render_block(request, "answers/reply.html", "reply", context, form.status)
    return templates.render(request, "answers/reply.html", context, form.status)


def _done(request: Request, answer: Answer) -> Response:
    """Redirect to the answer. With htmx, the stream shows the changes."""
    return Response(status_code=204) if is_htmx(request) else redirect(request, answer_path(answer))
