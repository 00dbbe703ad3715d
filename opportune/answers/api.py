from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import ConfigDict

from opportune.accounts.dependencies import CurrentUser
from opportune.answers.dependencies import Answers, CurrentAnswer, CurrentStream
from opportune.answers.events import AnswerStream
from opportune.answers.models import Answer, AnswerStatus
from opportune.db.sessions.dependencies import WriteSession
from opportune.schemas import Schema
from opportune.web import EventStream

router = APIRouter(prefix="/answers", tags=["answers"])


class AnswerRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    topic: str
    question: str
    text: str
    status: AnswerStatus
    error_code: str
    error: str
    omitted: str
    """What the model was not sent of what it was asked about, in words."""
    model: str
    prompt_tokens: int
    completion_tokens: int
    usage_estimated: bool
    created_at: datetime
    finished_at: datetime | None


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


@router.post("/{answer_id}/stop", status_code=204)
async def stop(answer: CurrentAnswer, answers: Answers) -> None:
    await answers.stop(answer)


@router.post("/{answer_id}/retry", status_code=202, response_model=AnswerRead)
async def retry(answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Answer:
    """Ask the same once more, where the answer broke off: another answer."""
    return await answers.retry(session, answer)


@router.post("/{answer_id}/continue", status_code=202, response_model=AnswerRead)
async def resume(answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Answer:
    """Have an answer that broke off go on."""
    return await answers.resume(session, answer)
