"""Dependencies of routes that ask models and show answers."""

import hashlib
import secrets
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from opportune.accounts.dependencies import CurrentUser, OptionalUser, get_current_user
from opportune.accounts.models import ApiToken
from opportune.accounts.sessions.cookies import PageCookie
from opportune.accounts.tokens.dependencies import require_scope
from opportune.accounts.tokens.scopes import READ, WRITE
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.events import AnswerStream, EventId, parse_event_id
from opportune.db.models.row_ids import RowId
from opportune.db.sessions.dependencies import on_site
from opportune.errors import require_found
from opportune.project.optional_features import require_feature
from opportune.web import EventStream
from opportune.web.cookies import add_cookies
from opportune.web.middleware.origins import SAFE_METHODS

BROWSER = PageCookie("answers", "/", 86_400)
"""Random value that binds the answers of a visitor to the browser. Answers store only its hash."""


async def get_answers(request: Request, user: OptionalUser) -> AnswerManager:
    """Return the answers of the site, for a visitor those of the browser. A token limits the tools to its scopes.

    A superuser who impersonates a user gets tools that only read, because tools act as that user.
    """
    request = on_site(request)
    require_feature("answers", request.app.state.features)
    manager: AnswerManager = request.app.state.answers
    await manager.llm.refresh()
    payer = manager.llm.guard.payer_of(request) if manager.llm.guard else None
    if payer and payer.kind == "visitor":
        manager = replace(manager, visitor=payer)
    if user is None:
        manager = replace(manager, browser=_browser_key(request))
    if request.state.impersonator:
        manager = manager.within(READ)
    token: ApiToken | None = request.state.token
    return manager.within(token.scopes) if token else manager


def _browser_key(request: Request) -> str:
    """Return the key of the browser. A visitor gets the cookie only with a request that may ask a question."""
    value = BROWSER.read(request)
    if not value:
        value = secrets.token_urlsafe(16)
        if request.method not in SAFE_METHODS:
            response = Response()
            BROWSER.set(request, response, value)
            add_cookies(request, response)
    return hashlib.sha256(value.encode()).hexdigest()[:32]


Answers = Annotated[AnswerManager, Depends(get_answers)]
"""Dependency of a route: the `AnswerManager` of the site, for the current user or token."""


async def find_own_answer(request: Request, answer_id: RowId, user: OptionalUser, answers: Answers) -> Answer | None:
    if answer := await answers.find(answer_id, user.id if user else None):
        _require_scope(request, answer)
    return answer


FoundAnswer = Annotated[Answer | None, Depends(find_own_answer)]


def _require_scope(request: Request, answer: Answer) -> None:
    """Require the scope of the answer's feature from a token, in addition to the scope of answers."""
    feature = answer.topic.partition(":")[0]
    if any(installed.name == feature for installed in on_site(request).app.state.features):
        require_scope(request, f"{feature}:{READ if request.method in SAFE_METHODS else WRITE}")


async def get_answer(user: CurrentUser, answer: FoundAnswer) -> Answer:
    return require_found(answer)


CurrentAnswer = Annotated[Answer, Depends(get_answer)]
"""An answer of the current user. Answers of other users are not found."""


async def get_own_answer(request: Request, answer: FoundAnswer) -> Answer:
    if answer and answer.owner_id is None:
        return answer
    return await get_answer(await get_current_user(request), answer)


OwnAnswer = Annotated[Answer, Depends(get_own_answer)]
"""An answer of the current user or of the visitor's browser. Other visitors have to sign in."""


async def get_stream_position(
    after: str | None = None, last_event_id: Annotated[str | None, Header()] = None
) -> EventId | None:
    """Return the last event that the client has: `Last-Event-ID`, or `after` of a page."""
    return parse_event_id(last_event_id) or parse_event_id(after)


StreamPosition = Annotated[EventId | None, Depends(get_stream_position)]
"""Id of the last event of a stream that the client resumes."""


async def get_stream(answer: FoundAnswer, answers: Answers, position: StreamPosition) -> AnswerStream | None:
    """Return the stream of an answer from the client's position. None if the user or visitor has no such answer."""
    if answer is None:
        return None
    offset = position.offset if position and position.row_id == answer.id else 0
    return AnswerStream(answers.view(answer), offset, answer.id)


CurrentStream = Annotated[AnswerStream | None, Depends(get_stream)]


def stream_json(stream: AnswerStream | None, key: str = "answer_id") -> EventStream:
    """Return the JSON events of a stream, with the answer's id as `key`. None raises a 404."""
    return EventStream(require_found(stream).json(key))
