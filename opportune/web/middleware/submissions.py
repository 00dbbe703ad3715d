"""Protection from double submission. A form that is sent twice is processed once.

The middleware also reads the mark of the user in forms, and the key of a form that is shown again.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable
from dataclasses import asdict, dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.db.sessions.session import on_commit
from opportune.errors import ReadOnlyError
from opportune.i18n import gettext_lazy as _l
from opportune.services.tasks import run_in_background, run_to_end
from opportune.web.cookies import ADDED_COOKIES
from opportune.web.errors.problem import problem
from opportune.web.forms import kept_form
from opportune.web.forms.hidden_fields import REPEATABLE, USER_STATE_KEY
from opportune.web.middleware.submitted_form import SubmittedForm, form_type
from opportune.web.rendering.flash import Message as FlashMessage
from opportune.web.rendering.flash import added_messages, flash

logger = logging.getLogger(__name__)

MAX_STORED_BYTES = 16_384
"""Maximum size of a page that is stored as a result."""
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.05
STILL_PROCESSING = _l("This form is still being processed. Wait a moment, then load the page again.")

COMMITTED = "committed"
"""Result of a form whose change is committed and whose response is not stored."""
FAILED = "failed"
"""Result of a form whose change is committed, and which ended in an error."""
INTERRUPTED = _l("This form was interrupted. Load the page again to see what was saved.")

STORE_ERRORS = (SQLAlchemyError, ReadOnlyError, OSError)
KEPT_FORM = kept_form.QUERY_PARAMETER.encode()
STORED_HEADERS = ("location", "hx-redirect", "hx-location", "content-type")


class SubmissionStore(Protocol):
    """Results of submitted forms, shared by all workers."""

    async def claim(self, key: str) -> bool:
        """Return whether this is the first submission, which must be completed or released."""

    async def find(self, key: str) -> str | None:
        """Return the result of the first submission, empty while it is processed, or None if it was released."""

    async def mark_committed(self, session: AsyncSession, key: str) -> None:
        """Set the result to `COMMITTED`, in the transaction of a change that the form makes."""

    async def complete(self, key: str, result: str) -> None: ...

    async def release(self, key: str, *, even_if_committed: bool) -> None:
        """Allow the same form again. If its change is committed and `even_if_committed` is False, it has `FAILED`."""


@dataclass(frozen=True)
class SubmissionResult:
    """Stored response to a form."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: str = ""
    """The bytes as characters of Latin-1, because pages may have any encoding."""
    messages: list[FlashMessage] = field(default_factory=list)


class SubmissionMiddleware:
    """Pure ASGI middleware that processes a form with a `form_token` once, and repeats the result.

    A result is stored if the form was accepted and redirects to another page or creates something (201). Refused forms
    and responses with cookies are not stored, so the form is processed again.
    """

    def __init__(self, app: ASGIApp, store: SubmissionStore) -> None:
        self.app = app
        self.store = store

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if KEPT_FORM in scope.get("query_string", b""):
            scope = _move_key(scope)
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        if is_post and (content_type := form_type(scope)):
            return self._process_form(content_type, scope, receive, send)
        return self.app(scope, receive, send)

    async def _process_form(self, content_type: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        form = SubmittedForm(content_type, receive)
        await form.read()
        if form.user_mark:
            scope.setdefault("state", {})[USER_STATE_KEY] = form.user_mark
        if form.token:
            await self._process_once(form.key_in(scope), scope, form.receive, send)
        else:
            await self.app(scope, form.receive, send)

    async def _process_once(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            result = await self._first_result(key)
        except STORE_ERRORS as error:  # the route reports the database error
            reason = str(error).partition("\n")[0]  # without the statement
            logger.warning("A form is processed without a check for double submission: %s", reason)
            await self.app(scope, receive, send)
            return
        if result is None:
            await self._process(key, scope, receive, send)
        else:
            await _replay(result, scope)(scope, receive, send)

    async def _first_result(self, key: str) -> str | None:
        """Return the result of the first submission, empty after a timeout, or None if this is the first."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not await self._claim(key):
            while (result := await self.store.find(key)) in ("", COMMITTED):
                if time.monotonic() > deadline:
                    return result
                await asyncio.sleep(POLL_SECONDS)
            if result is not None:
                return result
        return None

    async def _claim(self, key: str) -> bool:
        """Claim a form. If the request is cancelled, no claim remains."""
        claim = asyncio.create_task(self.store.claim(key))
        try:
            return await asyncio.shield(claim)
        except asyncio.CancelledError:
            run_in_background(self._give_up(claim, key))
            raise

    async def _give_up(self, claim: asyncio.Task[bool], key: str) -> None:
        if await claim:
            await self.store.release(key, even_if_committed=False)

    async def _process(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        response = SentResponse(send)
        mark = CommitMark(self.store, key)
        on_commit.set(mark)
        try:
            await self.app(scope, receive, response.send)
        finally:
            mark.is_finished = True
            await run_to_end(self._finish(key, _result_of(scope, response), response.status))

    async def _finish(self, key: str, result: SubmissionResult | None, status: int) -> None:
        try:
            if result is None:
                await self.store.release(key, even_if_committed=0 < status < 500)
            else:
                await self.store.complete(key, json.dumps(asdict(result)))
        except STORE_ERRORS as error:  # the claim expires
            logger.warning("The result of a form is not stored: %s", str(error).partition("\n")[0])


@dataclass
class CommitMark:
    """Callback that marks a form as committed in each transaction of its request."""

    store: SubmissionStore
    key: str
    is_finished: bool = False

    async def __call__(self, session: AsyncSession) -> None:
        if not self.is_finished:  # tasks that the request has started continue
            await self.store.mark_committed(session, self.key)


class SentResponse:
    """ASGI `send` that records the parts of a response that a stored result needs."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.is_complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"]
            ]
        elif message["type"] == "http.response.body" and self.status == 201:
            self.body += message.get("body", b"")[: MAX_STORED_BYTES + 1]
            self.is_complete = not message.get("more_body", False) and len(self.body) <= MAX_STORED_BYTES
        await self._send(message)


def _move_key(scope: Scope) -> Scope:
    """Move the key of a kept form from the query to the state, because links and forms repeat the query."""
    parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    others = [(name, value) for name, value in parameters if name != kept_form.QUERY_PARAMETER]
    scope.setdefault("state", {})[kept_form.KEY_IN_STATE] = dict(parameters).get(kept_form.QUERY_PARAMETER, "")
    return {**scope, "query_string": urlencode(others).encode()}


def _result_of(scope: Scope, response: SentResponse) -> SubmissionResult | None:
    """Return the result to store, or None if a repeated form is processed again."""
    state = scope.get("state", {})
    names = {name for name, _ in response.headers}
    messages = added_messages(scope)
    if state.get(REPEATABLE) or state.get(ADDED_COOKIES) or "set-cookie" in names or not 0 < response.status < 400:
        return None
    if any(message.level == "danger" for message in messages):
        return None
    headers = {name: value for name, value in response.headers if name in STORED_HEADERS}
    if _redirects_within_site(scope, response.status, headers):
        return SubmissionResult(response.status, headers, messages=messages)
    if any(name == b"hx-request" for name, _ in scope["headers"]):
        return SubmissionResult(200, {"hx-refresh": "true"}, messages=messages)
    if response.is_complete and headers.get("content-type", "").startswith("text/html"):
        return SubmissionResult(201, headers, response.body.decode("latin-1"), messages)
    return None


def _redirects_within_site(scope: Scope, status: int, headers: dict[str, str]) -> bool:
    """Return whether the response redirects to a page of this site. URLs of other sites may contain secrets."""
    names = headers.keys() & ({"hx-redirect", "hx-location"} if status < 300 else {"location"})
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    return bool(names) and all(_is_within_site(headers[name], host) for name in names)


def _is_within_site(url: str, host: str) -> bool:
    """Return whether a redirect leads to a page of this site. Options such as `{"path": "/a"}` may lead anywhere."""
    parts = urlsplit(url)
    return parts.netloc == host if parts.scheme or parts.netloc else not url.startswith("{")


def _replay(result: str, scope: Scope) -> Response:
    """Return the response of a stored `SubmissionResult`, or a refusal if the first submission is not finished."""
    request = Request(scope)
    if result in ("", COMMITTED, FAILED):
        return problem(request, 409, INTERRUPTED if result else STILL_PROCESSING)
    stored = json.loads(result)
    try:
        content = stored["content"].encode("latin-1")
        messages = [FlashMessage(*message) for message in stored["messages"]]
    except (KeyError, TypeError):  # another version of the site has other fields
        return problem(request, 409, INTERRUPTED)
    for message in messages:
        flash(request, *message)
    return Response(content, stored["status"], stored["headers"])
