"""Decisions of the user about an answer: approvals, refusals and replies for its waiting calls, and its rating."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.tokens.scopes import get_common_scopes
from opportune.contrib.answers.engine.capacity import AnswerRunning
from opportune.contrib.answers.engine.tool_runs import REFUSED, Run, is_waiting, set_approval, set_result
from opportune.contrib.answers.models import MAX_RATING_NOTE_LENGTH, Answer, Rating
from opportune.contrib.tools import Toolbox
from opportune.errors import Refused
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_list
from opportune.schemas import Schema
from opportune.schemas.text import Line


class UnknownCall(Refused):
    """The answer has no tool call at this index."""

    status = 404

    def __init__(self) -> None:
        super().__init__(_("This answer has no such call."))


class QuestionGone(Refused):
    """The form of a question was removed from the site."""

    status = 410

    def __init__(self) -> None:
        super().__init__(_("This question no longer exists. Refuse it to continue the answer."))


class ToolNotAllowed(Refused):
    """The approving client lacks a scope of the tool: a token, or a superuser who impersonates the user."""

    status = 403

    def __init__(self, missing: Sequence[str]) -> None:
        scopes = format_list(missing)
        super().__init__(_("This cannot be allowed from here: it needs the scope %(scopes)s.", scopes=scopes))


def find_question(answer: Answer, call: int, toolbox: Toolbox | None) -> type[BaseModel] | None:
    """Return the form of a question that waits for the user. None if the call waits for nothing or an approval.

    Raises:
        UnknownCall: There is no such call (404).
        QuestionGone: The form was removed from the site (410).
    """
    run = _get_run(answer, call)
    if not (answer.is_waiting and is_waiting(run) and _is_question(run)):
        return None
    tool = toolbox.tools.get(run["name"]) if toolbox else None
    if tool and tool.form:
        return tool.form
    raise QuestionGone


class CallDecision(NamedTuple):
    """Decision about a call of an answer."""

    call: int
    """Index in `tool_runs`."""
    approval: str
    reply: str | None = None
    """JSON of the filled-in form of a question."""


def decide(answer: Answer, decision: CallDecision, *, now: datetime, scopes: str, toolbox: Toolbox | None) -> bool:
    """Store a decision in a locked answer. Return False if the call does not wait for it.

    After the deadline, any decision is a refusal.

    Raises:
        UnknownCall: There is no such call (404).
        ToolNotAllowed: The client lacks a scope (403).
    """
    call, approval, reply = decision
    run = _get_run(answer, call)
    if not (answer.is_waiting and is_waiting(run)):
        return False
    if answer.lease_until is None or answer.lease_until < now:
        approval = REFUSED
        reply = None
    if approval != REFUSED and (reply is not None) != _is_question(run):
        return False
    scopes = get_common_scopes(answer.tool_scopes, scopes)
    missing = toolbox.missing_scopes(run["name"], scopes) if toolbox and run["name"] in toolbox.tools else ()
    if missing and approval != REFUSED:
        raise ToolNotAllowed(missing)
    answer.tool_scopes = scopes
    if reply is None:
        answer.tool_runs = set_approval(answer.tool_runs, call, approval)
    else:
        answer.tool_runs = set_result(answer.tool_runs, call, reply)
    return True


def _get_run(answer: Answer, call: int) -> Run:
    if not 0 <= call < len(answer.tool_runs):
        raise UnknownCall
    return answer.tool_runs[call]


def _is_question(run: Run) -> bool:
    return run.get("result_from") == "user"


class RatingUpdate(Schema):
    rating: Rating | Literal[""]
    """Empty to remove the rating."""
    note: Annotated[Line, Field(max_length=MAX_RATING_NOTE_LENGTH)] = ""


async def rate(session: AsyncSession, answer: Answer, update: RatingUpdate) -> Answer:
    """Store or remove the rating of an answer.

    Raises:
        AnswerRunning: The answer is still being written.
    """
    if answer.is_running:
        raise AnswerRunning
    row = await session.get_one(Answer, answer.id)
    row.sqlmodel_update({"rating": update.rating or None, "rating_note": update.note if update.rating else ""})
    return row
