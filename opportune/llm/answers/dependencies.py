"""Dependencies of routes that ask for answers and show them."""

from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

from opportune.accounts.dependencies import CurrentUser, OptionalUser
from opportune.accounts.models import ApiToken
from opportune.accounts.tokens.dependencies import require_scope
from opportune.accounts.tokens.scopes import READ, WRITE
from opportune.db.model import RowId
from opportune.errors import OperatorError
from opportune.llm.answers.events import AnswerStream, parse_event_id
from opportune.llm.answers.manager import AnswerManager
from opportune.llm.answers.models import Answer
from opportune.web.middleware.csrf import SAFE_METHODS


async def get_answers(request: Request, _user: OptionalUser) -> AnswerManager:
    """The answers of the site; to a program, with no more tools than its token is good for.

    To a superuser who uses somebody's account with those that only read: a tool would be told that it is the person.
    """
    manager: AnswerManager | None = getattr(request.app.state, "answers", None)
    if manager is None:
        raise OperatorError("Answers are not installed: put `answers` of opportune.features into app/installed.py.")
    await manager.llm.refresh()
    if manager.llm.guard and (payer := manager.llm.guard.payer_of(request)).kind == "visitor":
        manager = manager.asked_by(payer)
    if request.state.impersonator:
        manager = manager.within(READ)
    token: ApiToken | None = request.state.token
    return manager.within(token.scopes) if token else manager


Answers = Annotated[AnswerManager, Depends(get_answers)]
"""The answers of the site, in a route: `answers: Answers`."""


async def get_answer(request: Request, answer_id: RowId, user: CurrentUser, answers: Answers) -> Answer:
    if answer := await answers.find(answer_id, user.id):
        _require_scope(request, answer)
        return answer
    raise HTTPException(404)


def _require_scope(request: Request, answer: Answer) -> None:
    """A program needs the scope of the feature whose answer it is, besides that of answers."""
    feature = answer.topic.partition(":")[0]
    if any(each.name == feature for each in request.app.state.features):
        require_scope(request, f"{feature}:{READ if request.method in SAFE_METHODS else WRITE}")


CurrentAnswer = Annotated[Answer, Depends(get_answer)]
"""An answer to the person who asks; another's is not found."""


async def get_stream(
    request: Request,
    answer_id: RowId,
    user: OptionalUser,
    answers: Answers,
    after: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AnswerStream | None:
    """Find the answer, and how far its viewer is: by `Last-Event-ID`, else by `after`. None if it is not theirs."""
    named = parse_event_id(last_event_id) or parse_event_id(after)
    answer = await answers.find(answer_id, user.id) if user else None
    if answer is None:
        return None
    _require_scope(request, answer)
    return AnswerStream(answers.view(answer), named[1] if named and named[0] == answer.id else 0, answer.id)


CurrentStream = Annotated[AnswerStream | None, Depends(get_stream)]
