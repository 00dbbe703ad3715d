from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException
from pydantic import ConfigDict, Field

from opportune.accounts.dependencies import CurrentUser
from opportune.db.sessions.dependencies import WriteSession
from opportune.llm.answers import rating as ratings
from opportune.llm.answers.dependencies import Answers, CurrentAnswer, CurrentStream
from opportune.llm.answers.events import AnswerStream
from opportune.llm.answers.models import Answer, AnswerStatus, Rating
from opportune.schemas import Schema
from opportune.web import EventStream

router = APIRouter(prefix="/answers", tags=["answers"])


class ToolRunRead(Schema):
    """A call on the way of an answer."""

    name: str
    arguments: str
    """JSON, as the model wrote it."""
    result: str | None
    """Null while there is none."""
    is_error: bool
    approval: Literal["", "waiting", "allowed", "always", "refused"] = ""
    """What the person has said of it, where they are asked."""


class SourceRead(Schema):
    title: str
    url: str


class AnswerRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    topic: str
    question: str
    text: str
    reasoning: str
    """Reasoning of the model, stored apart from its answer."""
    tool_runs: list[ToolRunRead]
    """What the model had called; those that wait are approved and refused by their place, from 0."""
    sources: list[SourceRead]
    """What was read for it; the first is what it cites as [1]."""
    status: AnswerStatus
    error_code: str
    error: str
    omitted: str
    """What the model was not sent of what it was asked about, in words."""
    model: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    """Those of `completion_tokens` that went into reasoning."""
    usage_estimated: bool
    created_at: datetime
    finished_at: datetime | None
    rating: Rating | None
    rating_note: str


@router.get("/{answer_id}", response_model=AnswerRead)
async def read(answer: CurrentAnswer, answers: Answers) -> Answer:
    await answers.refresh([answer])
    return answer


async def get_existing_stream(user: CurrentUser, answer_stream: CurrentStream) -> AnswerStream:
    if answer_stream is None:
        raise HTTPException(404)
    return answer_stream


@router.get("/{answer_id}/stream", response_class=EventStream)
async def stream(
    answer_stream: Annotated[AnswerStream, Depends(get_existing_stream)],
) -> EventStream:
    """The answer as `status`, `delta` (with `text`) and one `done` or `error`. `Last-Event-ID` resumes.

    After 15 seconds of silence comes a comment: where nothing comes for 40, the connection is lost.
    """
    return EventStream(answer_stream.json())


@router.put("/{answer_id}/rating", response_model=AnswerRead)
async def rate(answer: CurrentAnswer, session: WriteSession, rating: ratings.RatingUpdate) -> Answer:
    """Say what the answer was worth: `up`, `down`, or an empty text to take that back."""
    return await ratings.rate(session, answer, rating)


@router.post("/{answer_id}/stop", status_code=204)
async def stop(answer: CurrentAnswer, answers: Answers) -> None:
    await answers.stop(answer)


class Refusal(Schema):
    call: int = Field(ge=0)
    """The place of a call in `tool_runs`, from 0."""


class Approval(Refusal):
    rest: bool = False
    """Whether others of the same tool are allowed too, as long as this answer is written."""


@router.post("/{answer_id}/approve", response_model=AnswerRead)
async def approve(answer: CurrentAnswer, session: WriteSession, answers: Answers, wanted: Approval) -> Answer:
    """Allow a call that the answer waits with; it goes on when nothing waits any more. Said twice, it runs once."""
    return await answers.approve(session, answer, wanted.call, rest=wanted.rest)


@router.post("/{answer_id}/refuse", response_model=AnswerRead)
async def refuse(answer: CurrentAnswer, session: WriteSession, answers: Answers, wanted: Refusal) -> Answer:
    """Refuse a call that the answer waits with: the model is told, and goes on when nothing waits any more."""
    return await answers.refuse(session, answer, wanted.call)


@router.post("/{answer_id}/retry", status_code=202, response_model=AnswerRead)
async def retry(answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Answer:
    """Ask the same once more, where the answer broke off: another answer."""
    return await answers.retry(session, answer)


@router.post("/{answer_id}/continue", status_code=202, response_model=AnswerRead)
async def resume(answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Answer:
    """Have an answer that broke off go on."""
    return await answers.resume(session, answer)
