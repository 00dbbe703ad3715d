"""Questions of the macro `question_form`: read with `read_form`, and shown again with the reason if refused."""

from collections.abc import Sequence
from typing import TypeVar

from fastapi import HTTPException
from pydantic import BaseModel, Field

from opportune.llm.answers.errors import AnswerRunning, TooManyAnswers
from opportune.llm.answers.manager import AnswerManager
from opportune.llm.answers.models import Answer
from opportune.llm.documents import MAX_ATTACHMENTS, Attachment, AttachmentRefused, read_attachment
from opportune.llm.guard import SpendingRefused
from opportune.text import Line
from opportune.web.forms.forms import Form
from opportune.web.forms.uploads import Upload, display_name

REFUSALS: dict[type[Exception], int] = {
    AnswerRunning: 409,
    TooManyAnswers: 429,
    SpendingRefused: 429,
    AttachmentRefused: 422,
}
"""Reasons not to ask a model, with the status of the page that shows the question again."""


class QuestionForm(BaseModel):
    """The field of a question."""

    question: Line = Field(min_length=1, max_length=500)


class FileQuestionForm(QuestionForm):
    """The fields of a question with files."""

    attachments: list[Upload] = Field(default=[], max_length=MAX_ATTACHMENTS)


F = TypeVar("F", bound=QuestionForm)


async def ask_by_form(
    answers: AnswerManager,
    form: Form[F],
    *,
    system: str = "",
    owner_id: int | None = None,
    topic: str = "",
    model: str = "",
    tools: bool = False,
) -> Answer | None:
    """Ask the question of a form in a session of its own; None if it is invalid or refused, and the form says why.

    The options are those of `AnswerManager.ask`.
    """
    if form.data is None:
        return None
    try:
        files = await _read_files(form.data.attachments if isinstance(form.data, FileQuestionForm) else ())
        async with answers.database.writer() as session:
            return await answers.ask(
                session,
                form.data.question,
                system=system,
                owner_id=owner_id,
                topic=topic,
                model=model,
                tools=tools,
                attachments=files,
            )
    except tuple(REFUSALS) as refusal:
        words = refusal.detail if isinstance(refusal, HTTPException) else str(refusal)
        form.refuse(words, "question", REFUSALS[type(refusal)])
        return None


async def _read_files(uploads: Sequence[Upload]) -> list[Attachment]:
    return [await read_attachment(display_name(upload.filename), upload.content) for upload in uploads]
