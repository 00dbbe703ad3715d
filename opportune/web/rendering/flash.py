"""Flash messages for the next page, such as "Your name is saved." after a form.

They are in a signed cookie until a page renders them, so the server stores nothing.
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
"""Browsers allow 4,096 with name and attributes. The oldest messages are dropped first."""


class Message(NamedTuple):
    text: str
    level: Level = "success"
    address: str = ""
    """Link to the object of the message."""


@dataclass
class Messages:
    """Flash messages of a request: those to render, and those added for the next page."""

    waiting: list[Message]
    added: list[Message] = field(default_factory=list)
    are_rendered: bool = False


def flash(request: Request, text: str, level: Level = "success", address: str = "") -> None:
    """Show a message on the next page, unless this request fails.

    Args:
        request: The current request.
        text: One sentence, at most 500 characters.
        level: Colour of the message.
        address: Link to the object of the message.
    """
    _of(request).added.append(Message(text[:MAX_MESSAGE_CHARS], level, address))


def flashed(request: Request) -> list[Message]:
    """Return the messages for this page, and remove them from the cookie."""
    messages = _of(request)
    messages.are_rendered = True
    return messages.waiting


def added_messages(scope: Scope) -> list[Message]:
    """Return the messages that a request has added for the next page."""
    messages: Messages | None = scope.get("state", {}).get(SIGNING_PURPOSE)
    return messages.added if messages else []


def are_waiting(scope: Scope) -> bool:
    """Return whether a request may have messages to render."""
    # Not parsed, because a false match only bypasses the cache.
    return any(name == b"cookie" and b"messages=" in value for name, value in scope["headers"])


def cookie(scope: Scope, status: int, settings: Settings) -> list[tuple[bytes, bytes]]:
    """Return the `Set-Cookie` header with the remaining messages, if they have changed."""
    messages: Messages | None = scope["state"].get(SIGNING_PURPOSE)
    if messages is None:
        return []
    remaining = [] if messages.are_rendered else [*messages.waiting]
    if status < 400:
        remaining += messages.added
    if remaining == messages.waiting:
        return []
    response = Response()
    response.set_cookie(
        _cookie_name(settings),
        _serialize(settings, remaining),
        max_age=LIFETIME_SECONDS if remaining else 0,
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
    value = request.cookies.get(_cookie_name(settings))
    if not value:
        return []
    try:
        return [Message(*parts) for parts in signer(settings, SIGNING_PURPOSE).loads(value, max_age=LIFETIME_SECONDS)]
    except BadData:
        return []


def _serialize(settings: Settings, messages: list[Message]) -> str:
    while messages:
        value = signer(settings, SIGNING_PURPOSE).dumps(messages)
        if len(value) <= MAX_COOKIE_BYTES:
            return str(value)
        messages = messages[1:]
    return ""


def _cookie_name(settings: Settings) -> str:
    # Browsers accept this prefix only over TLS and without a Domain attribute.
    return f"__Host-{SIGNING_PURPOSE}" if settings.has_secure_cookies else SIGNING_PURPOSE
