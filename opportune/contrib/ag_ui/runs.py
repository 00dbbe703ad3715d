"""Runs of AG-UI: a run asks a question, or decides about the calls that interrupted the previous run."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import Body, HTTPException, Request
from fastapi.sse import KEEPALIVE_COMMENT
from pydantic import AfterValidator, BaseModel, ValidationError
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts import User
from opportune.contrib.ag_ui.events import RunEvents, core, encode
from opportune.contrib.answers import Answer, AnswerManager, QuestionTooLong
from opportune.contrib.answers.engine.decisions import find_question
from opportune.contrib.answers.engine.tool_runs import is_waiting
from opportune.contrib.llm import Message, estimate_tokens
from opportune.contrib.llm.providers.provider import fitting_turns
from opportune.db.queries.dialects import acquire_advisory_lock
from opportune.errors import FieldErrors
from opportune.i18n import gettext as _
from opportune.schemas.text import require_storable_json
from opportune.server import shutting_down
from opportune.web import EventStream
from opportune.web.forms.error_messages import messages_by_field

MAX_ID_LENGTH = 200
INTERRUPT_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,6})")  # ids of the answer and of its call

AgUiInput = Annotated[dict[str, Any], Body(), AfterValidator(require_storable_json)]
"""Parameter of a route: the `RunAgentInput` of the protocol as JSON."""


class Approval(BaseModel):
    """Payload that approves a call. All others are invalid or refuse it."""

    approved: Literal[True]


async def run_agent(
    request: Request,
    answers: AnswerManager,
    user: User,
    data: AgUiInput,
    *,
    topic: str,
    system: str = "",
    model: str = "",
) -> EventStream:
    """Return the events of a run. The answer continues if the client disconnects.

    A repeated request with the same `runId` asks nothing again, and streams the same answer.

    Args:
        request: The request.
        answers: Answers of the site.
        user: Owner of the answer.
        data: The body of the request.
        topic: Beginning of the topic of the answers, such as `books:12`.
        system: System message. Those of the client are ignored.
        model: Name of a model in LLM_MODELS.

    Raises:
        FieldErrors: The input is invalid (422).
    """
    run = await _parse_input(data)
    thread = f"{topic}:{run.thread_id}:"
    if run.resume:
        answer, events = await _resume(answers, user, run, thread)
    else:
        answer = await _ask(answers, user, run, thread, system, model)
        events = RunEvents(run.thread_id, run.run_id, answer.id)
    return EventStream(_stream(request, answers, answer, events))


async def _parse_input(data: dict[str, Any]) -> Any:
    """Return the `RunAgentInput` of a request.

    Raises:
        FieldErrors: It is invalid, or does not end with a question.
        PackageMissing: The optional packages are not installed.
    """
    run = _parse((await asyncio.to_thread(core)).RunAgentInput, data)
    if not (run.resume or (run.messages and run.messages[-1].role == "user")):
        raise FieldErrors({"messages": _("The last message must be a question of the user.")})
    if max(len(run.thread_id), len(run.run_id)) > MAX_ID_LENGTH:
        raise FieldErrors({"": _("threadId and runId have at most %(number)s characters.", number=MAX_ID_LENGTH)})
    return run


def _parse(model: type[BaseModel], data: object) -> Any:
    """Return a valid instance of a model.

    Raises:
        FieldErrors: The data is invalid.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise FieldErrors(messages_by_field(error)) from None


async def _ask(answers: AnswerManager, user: User, run: Any, thread: str, system: str, model: str) -> Answer:
    topic = f"{thread}{run.run_id}"
    budget = answers.llm.using(model).context_budget - estimate_tokens(Message("system", system))
    messages = _fitting(run, budget)
    same_run = select(Answer).where(col(Answer.topic) == topic, col(Answer.owner_id) == user.id)
    async with answers.database.writer() as session:
        await acquire_advisory_lock(session, f"ag-ui {user.id} {topic}")  # repeated requests wait
        answer = await session.scalar(same_run.order_by(col(Answer.id).desc()).limit(1))
        return answer or await answers.ask(
            session,
            messages,
            system=system,
            owner_id=user.id,
            topic=topic,
            question=messages[-1].content,
            model=model,
            tools=True,
        )


def _fitting(run: Any, budget: int) -> list[Message]:
    """Return the question after the newest earlier texts that fit, without calls and results of earlier answers."""
    shown = [message for message in run.messages if message.role in ("user", "assistant")]
    turns = [Message(message.role, _text_of(message)) for message in shown]
    if not turns[-1].content:
        raise FieldErrors({"messages": _("The last message must be a question of the user.")})
    if estimate_tokens(turns[-1]) > budget:
        raise QuestionTooLong(4 * budget)  # characters
    return fitting_turns([turn for turn in turns if turn.content], budget)


def _text_of(message: Any) -> str:
    """Return the text of a message.

    Raises:
        FieldErrors: It contains other parts.
    """
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    if any(part.type != "text" for part in message.content):
        raise FieldErrors({"messages": _("Only text can be sent here.")})
    return "\n\n".join(part.text for part in message.content)


async def _resume(answers: AnswerManager, user: User, run: Any, thread: str) -> tuple[Answer, RunEvents]:
    """Decide about all interrupted calls or none. Each is decided once, also by a repeated request."""
    matches = [match for entry in run.resume if (match := INTERRUPT_ID.fullmatch(entry.interrupt_id))]
    ids = {int(match[1]) for match in matches}
    calls = [int(match[2]) for match in matches]
    is_one_answer = len(ids) == 1 and len(calls) == len(run.resume)
    answer = await answers.find(ids.pop(), user.id) if is_one_answer else None
    if answer is None or not answer.topic.startswith(thread):
        raise HTTPException(404)
    entries = zip(calls, run.resume, strict=True)
    decisions = [_parse_decision(answers, answer, call, entry) for call, entry in entries]
    async with answers.database.writer() as session:
        for call, decision in zip(calls, decisions, strict=True):
            if decision is None:
                await answers.refuse(session, answer, call)
            elif isinstance(decision, Approval):
                await answers.approve(session, answer, call)
            else:
                await answers.reply(session, answer, call, decision)
    last_round = answer.tool_runs[min(calls)]["round"]
    sent_calls = [stored for stored in answer.tool_runs if stored["round"] <= last_round]
    events = RunEvents(run.thread_id, run.run_id, answer.id, sent_calls, min(calls))
    return await answers.find(answer.id, user.id) or answer, events


def _parse_decision(answers: AnswerManager, answer: Answer, call: int, entry: Any) -> BaseModel | None:
    """Return an approval or a filled-in form. None refuses a call, and changes none that was decided before.

    Raises:
        FieldErrors: The payload is something else.
    """
    if entry.status == "cancelled" or (isinstance(entry.payload, dict) and entry.payload.get("approved") is False):
        return None
    form = find_question(answer, call, answers.toolbox) or Approval
    waits = answer.is_waiting and is_waiting(answer.tool_runs[call])
    return _parse(form, entry.payload) if waits else None


async def _stream(
    request: Request, answers: AnswerManager, answer: Answer, events: RunEvents
) -> AsyncGenerator[bytes, None]:
    for event in events.start():
        yield encode(event)
    current: Answer | None = answer
    while current:
        async with answers.view(current) as live:
            async for _ in live.follow(0):
                chunks = [*map(encode, events.update(live.text, live.reasoning, live.tool_runs))]
                for chunk in chunks or [KEEPALIVE_COMMENT]:
                    yield chunk
                if live.answer.waits_for_user:
                    break
            current = live.answer
        if not current.is_running or current.waits_for_user:
            break
        if shutting_down(request.app).is_set():
            return  # the client repeats the run, and another process streams it
        current = await answers.find(answer.id, answer.owner_id or 0)  # a job has begun, or the answer was deleted
    for event in events.finish(current):
        yield encode(event)
