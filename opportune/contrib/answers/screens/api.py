"""API of answers: read, stream, rate and stop them, decide about tool calls, and try again."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from opportune.accounts.dependencies import CurrentUser
from opportune.contrib.answers.engine import decisions
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.dependencies import Answers, CurrentAnswer, CurrentStream, stream_json
from opportune.contrib.answers.screens.schemas import AnswerRead, StreamEvent
from opportune.db.sessions.dependencies import WriteSession
from opportune.errors import FieldErrors
from opportune.schemas import Schema
from opportune.schemas.text import require_storable_json
from opportune.web import APIRouter, EventStream
from opportune.web.forms.error_messages import messages_by_field

router = APIRouter(prefix="/answers", tags=["answers"])


@router.get("/{answer_id}", response_model=AnswerRead)
async def get(answer: CurrentAnswer, answers: Answers) -> Answer:
    await answers.refresh([answer])
    return answer


@router.get("/{answer_id}/stream", response_class=EventStream, responses={200: {"model": StreamEvent}})
async def stream(user: CurrentUser, answer_stream: CurrentStream) -> EventStream:
    """Stream the answer as `status`, `delta` (with `text`) and one `done` or `error`. `Last-Event-ID` resumes.

    A comment is sent every 15 seconds of silence. After 40 silent seconds the connection is lost.
    """
    return stream_json(answer_stream)


@router.put("/{answer_id}/rating", response_model=AnswerRead)
async def rate(answer: CurrentAnswer, session: WriteSession, rating: decisions.RatingUpdate) -> Answer:
    """Rate the answer: `up`, `down`, or an empty text to remove the rating."""
    return await decisions.rate(session, answer, rating)


@router.post("/{answer_id}/stop", status_code=204)
async def stop(answer: CurrentAnswer, answers: Answers) -> None:
    await answers.stop(answer)


class Decision(Schema):
    call: int = Field(ge=0)
    """Index of a call in `tool_runs`, from 0."""


class Reply(Decision):
    values: Annotated[dict[str, Any], AfterValidator(require_storable_json)]
    """The fields of the form."""


class Approval(Decision):
    rest: bool = False
    """Whether to allow later calls of the same tool in this answer."""


@router.post("/{answer_id}/approve", response_model=AnswerRead)
async def approve(answer: CurrentAnswer, session: WriteSession, answers: Answers, approval: Approval) -> Answer:
    """Allow a waiting tool call. The answer continues when no call waits. A repeated request runs it once."""
    return await answers.approve(session, answer, approval.call, rest=approval.rest)


@router.post("/{answer_id}/refuse", response_model=AnswerRead)
async def refuse(answer: CurrentAnswer, session: WriteSession, answers: Answers, refusal: Decision) -> Answer:
    """Refuse a waiting tool call. The model continues without it when no call waits."""
    return await answers.refuse(session, answer, refusal.call)


@router.post("/{answer_id}/reply", response_model=AnswerRead)
async def reply(answer: CurrentAnswer, session: WriteSession, answers: Answers, reply: Reply) -> Answer:
    """Fill in the form of a question that waits for the user. The first reply counts."""
    form = decisions.find_question(answer, reply.call, answers.toolbox)
    if form is None:
        return answer
    try:
        return await answers.reply(session, answer, reply.call, form.model_validate(reply.values))
    except ValidationError as error:
        raise FieldErrors(messages_by_field(error)) from None


@router.post("/{answer_id}/retry", status_code=202, response_model=AnswerRead)
async def retry(answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Answer:
    """Ask the question of an interrupted answer again, for a new answer."""
    return await answers.retry(session, answer)


@router.post("/{answer_id}/continue", status_code=202, response_model=AnswerRead)
async def resume(answer: CurrentAnswer, session: WriteSession, answers: Answers) -> Answer:
    """Continue an interrupted answer."""
    return await answers.resume(session, answer)
