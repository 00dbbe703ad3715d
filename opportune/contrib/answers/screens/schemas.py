"""Answers as JSON."""

from datetime import datetime
from typing import Any, Literal

from pydantic import RootModel

from opportune.contrib.answers.models import AnswerStatus, Rating
from opportune.schemas import Schema


class JobProgress(Schema):
    done: int
    total: int
    note: str


class ToolRunRead(Schema):
    """A tool call of an answer."""

    name: str
    arguments: str
    """JSON written by the model."""
    result: str | None
    """Null until the call has ended."""
    is_error: bool
    approval: Literal["", "waiting", "allowed", "always", "refused"] = ""
    """Decision of the user, for calls that need an approval."""
    result_from: Literal["", "job", "user"] = ""
    """Origin of a result that the answer waits for."""
    progress: JobProgress | None = None
    """Progress of a job."""
    form: dict[str, Any] | None = None
    """JSON Schema of the reply to a question."""


class SourceRead(Schema):
    title: str
    url: str


class AnswerFields(Schema):
    """Fields of an answer for any API that returns answers."""

    id: int
    text: str
    reasoning: str
    """Reasoning of the model, stored apart from its answer."""
    sources: list[SourceRead]
    """Sources of the answer. The first is cited as [1]."""
    status: AnswerStatus
    error_code: str
    error: str
    omitted: str
    """Explains which parts of the prompt were not sent to the model."""
    model: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    """Part of `completion_tokens` used for reasoning."""
    usage_estimated: bool
    created_at: datetime
    finished_at: datetime | None


class AnswerRead(AnswerFields):
    topic: str
    question: str
    tool_runs: list[ToolRunRead]
    """Tool calls of the model. Approve or refuse a waiting call by its index."""
    rating: Rating | None
    rating_note: str


class StreamData(Schema):
    """Data of each event of a stream."""

    answer_id: int | None = None
    """Id of the answer, in streams of `/answers`."""
    message_id: int | None = None
    """Id of the message with the answer, in streams of `/conversations`."""


class StreamStatus(StreamData):
    """Data of the event `status`."""

    status: AnswerStatus
    tools: list[ToolRunRead] | None = None
    """All tool calls, if one has changed. With the status "waiting", some need an approval."""
    reasoning: str | None = None
    """New text of the model's reasoning."""
    reasoning_offset: int | None = None
    """Position of `reasoning`. A resumed stream starts again at 0."""


class StreamDelta(StreamData):
    """Data of the event `delta`: new text of the answer."""

    text: str


class TokenUsage(Schema):
    prompt_tokens: int | None
    completion_tokens: int | None


class StreamDone(StreamData):
    """Data of the last event, `done`."""

    status: AnswerStatus
    usage: TokenUsage
    sources: list[SourceRead]


class StreamError(StreamData):
    """Data of the last event, `error`, if there is no answer."""

    status: AnswerStatus
    code: str
    message: str


class StreamEvent(RootModel[StreamStatus | StreamDelta | StreamDone | StreamError]):
    """Data of an event, by the name of the event: `status`, `delta`, `done` or `error`."""
