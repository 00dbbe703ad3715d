"""What is said on the page that follows, such as "Your name is saved." after a form.

It travels in a signed cookie until a page shows it, so nobody else can put words there, and nothing is kept for it.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from itsdangerous import BadData
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from opportune.config.settings import Settings
from opportune.config.signing import signer

Level = Literal["success", "info", "warning", "danger"]

SIGNING_PURPOSE = "messages"
LIFETIME_SECONDS = 300
MAX_MESSAGE_CHARS = 500
MAX_COOKIE_BYTES = 3500
"""Browsers keep 4,096 with name and attributes; the oldest message goes first."""


class Message(NamedTuple):
    text: str
    level: Level = "success"
    address: str = ""
    """Of what it tells about, to open it again."""


@dataclass
class Messages:
    """The flash messages of one request: what waited for it, and what it adds for the next."""

    waiting: list[Message]
    added: list[Message] = field(default_factory=list)
    are_shown: bool = False


def flash(request: Request, text: str, level: Level = "success", address: str = "") -> None:
    """Say this on the next page that the visitor sees, unless this request fails."""
    _of(request).added.append(Message(text[:MAX_MESSAGE_CHARS], level, address))


def flashed(request: Request) -> list[Message]:
    """The messages for this page, for its template. No other page says them again."""
    messages = _of(request)
    messages.are_shown = True
    return messages.waiting


def added_messages(scope: Scope) -> list[Message]:
    """The messages that a request has added for the next page."""
    messages: Messages | None = scope.get("state", {}).get(SIGNING_PURPOSE)
    return messages.added if messages else []


def are_waiting(scope: Scope) -> bool:
    """Whether a request may come with messages to show."""
    # Not parsed: a cookie of a longer name costs no more than a page that need not have been built for one visitor.
    return any(name == b"cookie" and b"messages=" in value for name, value in scope["headers"])


def cookie(scope: Scope, status: int, settings: Settings) -> list[tuple[bytes, bytes]]:
    """The header of an answer by which the browser learns what still waits, where that has changed."""
    messages: Messages | None = scope["state"].get(SIGNING_PURPOSE)
    if messages is None:
        return []
    left = [] if messages.are_shown else [*messages.waiting]
    if status < 400:  # what has failed has not been done
        left += messages.added
    if left == messages.waiting:
        return []
    response = Response()
    response.set_cookie(
        _cookie_name(settings),
        _written(settings, left),
        max_age=LIFETIME_SECONDS if left else 0,
        secure=settings.has_secure_cookies,
        httponly=True,
        samesite="lax",
    )
    return [header for header in response.raw_headers if header[0] == b"set-cookie"]


def _of(request: Request) -> Messages:
    state = request.scope.setdefault("state", {})
    if SIGNING_PURPOSE not in state:
        state[SIGNING_PURPOSE] = Messages(_read(request))
    messages: Messages = state[SIGNING_PURPOSE]
    return messages


def _read(request: Request) -> list[Message]:
    settings: Settings = request.app.state.settings
    written = request.cookies.get(_cookie_name(settings))
    if not written:
        return []
    try:
        return [Message(*parts) for parts in signer(settings, SIGNING_PURPOSE).loads(written, max_age=LIFETIME_SECONDS)]
    except BadData:
        return []


def _written(settings: Settings, messages: list[Message]) -> str:
    while messages:
        written = signer(settings, SIGNING_PURPOSE).dumps(messages)
        if len(written) <= MAX_COOKIE_BYTES:
            return str(written)
        messages = messages[1:]
    return ""


def _cookie_name(settings: Settings) -> str:
    # With this prefix browsers take the cookie over TLS only, and from no other host of the domain.
    return f"__Host-{SIGNING_PURPOSE}" if settings.has_secure_cookies else SIGNING_PURPOSE
