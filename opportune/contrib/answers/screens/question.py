"""Forms of questions. A refused question is shown again with the reason."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypedDict, TypeVar, Unpack

from pydantic import BaseModel, Field

from opportune.contrib.answers.engine.errors import AnswerRunning, QuestionTooLong, TooManyAnswers
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import MAX_ATTACHMENTS, Attachment, Message, SpendingRefused, read_attachment
from opportune.errors import FieldErrors
from opportune.schemas.text import Line
from opportune.storage import StorageError
from opportune.web.forms.forms import Form
from opportune.web.forms.uploads import Upload, display_name

REFUSALS = (AnswerRunning, TooManyAnswers, SpendingRefused, QuestionTooLong, FieldErrors, StorageError)
"""Reasons to refuse a question, which the page then shows again."""


@contextmanager
def refusals_in(
    form: Form[Any], field: str, messages: Mapping[type[Exception], str] = MappingProxyType({})
) -> Iterator[None]:
    """Show a refused question in its form, with the status of the reason.

    Args:
        form: The form of the question.
        field: Field that shows the message.
        messages: Replacements of the messages, by exception class.
    """
    try:
        yield
    except REFUSALS as error:
        message = messages.get(type(error), str(error))
        form.refuse(message, field, 422 if isinstance(error, FieldErrors) else error.status)


class QuestionForm(BaseModel):
    """The field of a question."""

    question: Line = Field(min_length=1, max_length=500)


class FileQuestionForm(QuestionForm):
    """The fields of a question with files."""

    attachments: list[Upload] = Field(default=[], max_length=MAX_ATTACHMENTS)


F = TypeVar("F", bound=QuestionForm)


class AnswerOptions(TypedDict, total=False):
    """Options of `AnswerManager.ask` that an assistant may set."""

    system: str
    model: str
    tools: Collection[str]
    temperature: float | None
    omitted: str


async def ask_by_form(
    answers: AnswerManager,
    form: Form[F],
    earlier: Sequence[Message] = (),
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
        files = await _read_files(form.data.attachments if isinstance(form.data, FileQuestionForm) else ())
        async with answers.database.writer() as session:
            question = form.data.question
            prompt = [*earlier, Message("user", question)]
            answer = await answers.ask(
                session, prompt, owner_id=owner_id, topic=topic, question=question, attachments=files, **options
            )
    return None if form.errors else answer


async def _read_files(uploads: Sequence[Upload]) -> list[Attachment]:
    return [await read_attachment(display_name(upload.filename), upload.content) for upload in uploads]
