"""Responses that show answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from fastapi import Request, Response
from sqlalchemy import select
from sqlmodel import col

from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.engine.shown import ShownAnswer
from opportune.contrib.answers.engine.tool_runs import answer_turns
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.question import AnswerOptions, QuestionForm, ask_by_form
from opportune.contrib.llm import LanguageModel, Message, estimate_tokens
from opportune.web import Form, is_htmx, read_form, redirect, templates

MAX_EARLIER_ANSWERS = 20


def answer_path(answer: Answer) -> str:
    """Return the path of the page of one answer."""
    return f"/answers/{answer.id}"


async def show_answer(request: Request, answer: Answer, page: str = "") -> Response:
    """Return the response to a question: the answer's HTML for htmx, otherwise a redirect.

    Args:
        request: The request with the question.
        answer: The new answer.
        page: Path of a page that shows the answer. By default the framework's page of the answer.
    """
    if not is_htmx(request):
        return redirect(request, page or answer_path(answer))
    context = {"answer": await ShownAnswer.of(answer)}
    return templates.render_block(request, "answers/answer.html", "answer", context)


async def answer_page(
    request: Request,
    answers: AnswerManager,
    page: str,
    context: Mapping[str, Any] | None = None,
    *,
    topic: str,
    owner_id: int | None,
    follow_ups: bool = False,
    **options: Unpack[AnswerOptions],
) -> Response:
    """Show a page with the newest answer on a topic, or ask the question that its form sends.

    The template gets `form`, `answer` and, newest first, `answers`, for the macro `question_form`.

    Args:
        request: The current request, GET or POST.
        answers: The answers of the site.
        page: Template of the page.
        context: Context of the template.
        topic: Subject of the question, as for `AnswerManager.ask`.
        owner_id: User who asks.
        follow_ups: Send the earlier questions and answers on the topic with a question.
        options: Further options of `AnswerManager.ask`.
    """
    form = await read_form(request, QuestionForm) if request.method == "POST" else Form(QuestionForm)
    earlier = await _answers_on(answers, topic, owner_id)
    turns = _turns_of(earlier, answers.llm.using(options.get("model", ""))) if follow_ups else []
    if answer := await ask_by_form(answers, form, turns, owner_id=owner_id, topic=topic, **options):
        return await show_answer(request, answer, request.url.path)
    values = {"form": form, "answer": next(iter(earlier), None), "answers": earlier}
    return templates.render(request, page, {**(context or {}), **values}, form.status)


async def _answers_on(answers: AnswerManager, topic: str, owner_id: int | None) -> list[ShownAnswer]:
    query = select(Answer).where(col(Answer.topic) == topic, col(Answer.owner_id) == owner_id)
    async with answers.database.reader(fresh=True) as session:
        rows = (await session.scalars(query.order_by(col(Answer.id).desc()).limit(MAX_EARLIER_ANSWERS))).all()
    await answers.refresh(rows)
    return [await ShownAnswer.of(row) for row in rows]


def _turns_of(earlier: Sequence[ShownAnswer], llm: LanguageModel) -> list[Message]:
    """Return the turns of the newest answers that fit into half of the model's context."""
    turns, remaining = list[Message](), llm.context_budget // 2
    for row in (shown.answer for shown in earlier if shown.answer.text):
        added = [Message("user", row.question), *answer_turns(row, llm.origin)]
        remaining -= sum(map(estimate_tokens, added))
        if remaining < 0:
            break
        turns = added + turns
    return turns
