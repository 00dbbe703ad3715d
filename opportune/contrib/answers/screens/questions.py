"""Questions by forms, which show why one was refused, and the responses that show their answers."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from types import MappingProxyType
from typing import Any, TypedDict, TypeVar, Unpack

from fastapi import Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlmodel import col

from opportune.contrib import llm
from opportune.contrib.answers.engine.capacity import AnswerRunning, TooManyAnswers
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.engine.shown import ShownAnswer
from opportune.contrib.answers.engine.tool_runs import answer_turns
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm.providers.provider import fitting_turns
from opportune.errors import FieldErrors, Refused
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_number
from opportune.schemas.text import Line
from opportune.storage import StorageError
from opportune.web import Form, is_htmx, read_form, redirect, templates
from opportune.web.forms.uploads import Upload, display_name

MAX_EARLIER_ANSWERS = 20
MICROPHONE = "camera=(), geolocation=(), microphone=(self)"


class QuestionForm(BaseModel):
    """The field of a question."""

    question: Line = Field(min_length=1, max_length=500)


class FileQuestionForm(QuestionForm):
    """The fields of a question with files."""

    attachments: list[Upload] = Field(default=[], max_length=llm.MAX_ATTACHMENTS)


F = TypeVar("F", bound=QuestionForm)


class AnswerOptions(TypedDict, total=False):
    """Options of `AnswerManager.ask` that an assistant may set."""

    system: str
    model: str
    tools: Collection[str]
    temperature: float | None
    omitted: str


class QuestionTooLong(Refused):
    """The question does not fit into the context of its model."""

    status = 422

    def __init__(self, max_length: int) -> None:
        number = format_number(max_length)
        super().__init__(_("This model reads at most %(number)s characters. Please write less.", number=number))


REFUSALS = (AnswerRunning, TooManyAnswers, llm.SpendingRefused, QuestionTooLong, FieldErrors, StorageError)
"""Reasons to refuse a question, which the page then shows again."""


@contextmanager
def refusals_in(
    form: Form[Any], field: str, messages: Mapping[type[Exception], str] = MappingProxyType({})
) -> Iterator[None]:
    """Show a refused question at a field of its form, with the status of the reason.

    `messages` replace those of exceptions, by their class.
    """
    try:
        yield
    except REFUSALS as error:
        message = messages.get(type(error), str(error))
        form.refuse(message, field, 422 if isinstance(error, FieldErrors) else error.status)


async def ask_by_form(
    answers: AnswerManager,
    form: Form[F],
    earlier: Sequence[llm.Message] = (),
    *,
    owner_id: int | None = None,
    topic: str = "",
    **options: Unpack[AnswerOptions],
) -> Answer | None:
    """Ask the question of a form in a new session. None if it is invalid or refused; the form shows the reason.

    `earlier` are the turns before the question. The other arguments are those of `AnswerManager.ask`.
    """
    if form.data is None:
        return None
    answer = None
    with refusals_in(form, "question"):
        uploads = form.data.attachments if isinstance(form.data, FileQuestionForm) else ()
        files = [await llm.read_attachment(display_name(upload.filename), upload.content) for upload in uploads]
        async with answers.database.writer() as session:
            question = form.data.question
            prompt = [*earlier, llm.Message("user", question)]
            answer = await answers.ask(
                session, prompt, owner_id=owner_id, topic=topic, question=question, attachments=files, **options
            )
    return None if form.errors else answer


def answer_path(answer: Answer) -> str:
    """Return the path of the page of one answer."""
    return f"/answers/{answer.id}"


async def show_answer(request: Request, answer: Answer, page: str = "") -> Response:
    """Return the response to a question: the answer's HTML for htmx, otherwise a redirect.

    `page` is the path that shows the answer, by default the framework's page of the answer.
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
        owner_id: User who asks. None for a visitor, who sees the answers of the same browser.
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
    query = select(Answer).where(answers.is_on_topic(topic, owner_id))
    async with answers.database.reader(fresh=True) as session:
        rows = (await session.scalars(query.order_by(col(Answer.id).desc()).limit(MAX_EARLIER_ANSWERS))).all()
    await answers.refresh(rows)
    return [await ShownAnswer.of(row) for row in rows]


def _turns_of(earlier: Sequence[ShownAnswer], model: llm.LanguageModel) -> list[llm.Message]:
    """Return the turns of the newest answers that fit into half of the model's context."""
    rows = [shown.answer for shown in reversed(earlier) if shown.answer.text]
    turns = ([llm.Message("user", row.question), *answer_turns(row, model.origin)] for row in rows)
    return fitting_turns([*chain.from_iterable(turns)], model.context_budget // 2)


def allow_microphone(response: Response, model: llm.LanguageModel) -> None:
    """Let the page of this response use the microphone, if the site has a model that writes down recordings."""
    if model.offers("transcription"):
        response.headers["Permissions-Policy"] = MICROPHONE
