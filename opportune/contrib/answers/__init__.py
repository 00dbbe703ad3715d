"""Stored answers of language models, which continue after their request, and limits of their cost."""

from opportune.contrib.answers.engine.attachments import (
    SentFile,
    delete_attachments,
    find_attachments,
    stored_attachments,
)
from opportune.contrib.answers.engine.limits import AnswerLimits, AnswerRunning, TooManyAnswers
from opportune.contrib.answers.engine.live import ShownAnswer
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.engine.tool_runs import answer_turns
from opportune.contrib.answers.hooks import after_answer
from opportune.contrib.answers.models import ALL_TOOLS, Answer, AnswerAttachment, AnswerStatus
from opportune.contrib.answers.screens.dependencies import Answers, StreamPosition, stream_json
from opportune.contrib.answers.screens.events import AnswerStream, answer_gone, parse_event_id
from opportune.contrib.answers.screens.questions import (
    AnswerOptions,
    FileQuestionForm,
    QuestionForm,
    QuestionTooLong,
    answer_page,
    ask_by_form,
    refusals_in,
    show_answer,
)
from opportune.contrib.answers.screens.schemas import AnswerFields, StreamEvent
from opportune.contrib.answers.screens.voice import allow_microphone

__all__ = [
    "ALL_TOOLS",
    "Answer",
    "AnswerAttachment",
    "AnswerFields",
    "AnswerLimits",
    "AnswerManager",
    "AnswerOptions",
    "AnswerRunning",
    "AnswerStatus",
    "AnswerStream",
    "Answers",
    "FileQuestionForm",
    "QuestionForm",
    "QuestionTooLong",
    "SentFile",
    "ShownAnswer",
    "StreamEvent",
    "StreamPosition",
    "TooManyAnswers",
    "after_answer",
    "allow_microphone",
    "answer_gone",
    "answer_page",
    "answer_turns",
    "ask_by_form",
    "delete_attachments",
    "find_attachments",
    "parse_event_id",
    "refusals_in",
    "show_answer",
    "stored_attachments",
    "stream_json",
]
