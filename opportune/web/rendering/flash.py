"""Flash messages for the next page, such as "Your name is saved." after a form.

A signed cookie keeps them until a page renders them, so the server stores nothing.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from itsdangerous import BadData
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from opportune.config.settings import Settings
from opportune.config.signing import signer
from opportune.i18n import gettext
from opportune.web.cookies import set_cookie
from opportune.web.rendering.cached_part import exclude_from_cache

Level = Literal["success", "info", "warning", "danger"]

COOKIE_NAME = "messages"
"""Name of the cookie, of its signing purpose and of the key in the request's state."""
LIFETIME_SECONDS = 300
MAX_MESSAGE_CHARS = 500
MAX_COOKIE_BYTES = 3500
"""Above this size the oldest messages are dropped. Browsers allow 4,096 bytes with name and attributes."""


class Message(NamedTuple):
    text: str
    level: Level = "success"
    url: str = ""
    """URL of the page that the message links to, such as the changed object; empty for no link."""
    undo: str = ""
    """URL that the button "Undo" posts to; empty for no button."""


@dataclass
class Messages:
    """Flash messages of a request."""

    received: list[Message]
    """Messages of earlier requests, to render on this page."""
    added: list[Message] = field(default_factory=list)
    """Messages for the next page."""
    are_rendered: bool = False
    outlive_errors: bool = False
    """Whether the next page shows the added messages although the request fails."""


def flash(request: Request, text: str, level: Level = "success", url: str = "", undo: str = "") -> None:
    """Show a message on the next page, unless this request fails.

    Args:
        request: The current request.
        text: One sentence, at most 500 characters. It is translated if a catalogue has it.
        level: Level of the message, which decides its colour.
        url: URL of the page that the message links to, such as the changed object.
        undo: URL that the button "Undo" posts to, such as one that restores a deleted row.
    """
    _messages_of(request).added.append(Message(gettext(text)[:MAX_MESSAGE_CHARS], level, url, undo))


def keep_messages(request: Request) -> None:
    """Show the added messages on the next page, although the request fails: htmx redirects after an error."""
    _messages_of(request).outlive_errors = True


def take_messages(request: Request) -> list[Message]:
    """Return the messages to render on this page, and remove them from the cookie."""
    exclude_from_cache("messages")
    messages = _messages_of(request)
    messages.are_rendered = True
    return messages.received


def has_messages(request: Request) -> bool:
    """Return whether there are messages to render on this page."""
    return bool(_messages_of(request).received)


def added_messages(scope: Scope) -> list[Message]:
    """Return the messages that a request has added for the next page."""
    messages = _find_messages(scope)
    return messages.added if messages else []


def cookie_headers(scope: Scope, status: int, settings: Settings) -> list[tuple[bytes, bytes]]:
    """Return the `Set-Cookie` header for the remaining messages. Empty if they have not changed."""
    messages = _find_messages(scope)
    if messages is None:
        return []
    remaining = [] if messages.are_rendered else [*messages.received]
    if status < 400 or messages.outlive_errors:
        remaining += messages.added
    if remaining == messages.received:
        return []
    response = Response()
    max_age = LIFETIME_SECONDS if remaining else 0
    set_cookie(response, settings, _full_cookie_name(settings), _serialize(settings, remaining), max_age)
    return [header for header in response.raw_headers if header[0] == b"set-cookie"]


def _find_messages(scope: Scope) -> Messages | None:
    """Return the messages of a request; None if it has neither read nor added any."""
    messages: Messages | None = scope.get("state", {}).get(COOKIE_NAME)
    return messages


def _messages_of(request: Request) -> Messages:
    messages = _find_messages(request.scope)
    if messages is None:
        messages = Messages(_read_cookie(request))
        request.scope.setdefault("state", {})[COOKIE_NAME] = messages
    return messages


def _read_cookie(request: Request) -> list[Message]:
    settings: Settings = request.app.state.settings
    value = request.cookies.get(_full_cookie_name(settings))
    if not value:
        return []
    try:
        return [Message(*parts) for parts in signer(settings, COOKIE_NAME).loads(value, max_age=LIFETIME_SECONDS)]
    except (BadData, TypeError):  # another version of the site has other fields
        return []


def _serialize(settings: Settings, messages: list[Message]) -> str:
    while messages:
        value = signer(settings, COOKIE_NAME).dumps(messages)
        if len(value) <= MAX_COOKIE_BYTES:
            return str(value)
        messages = messages[1:]
    return ""


def _full_cookie_name(settings: Settings) -> str:
    # Browsers accept this prefix only over TLS and without a Domain attribute.
    return f"__Host-{COOKIE_NAME}" if settings.has_secure_cookies else COOKIE_NAME
