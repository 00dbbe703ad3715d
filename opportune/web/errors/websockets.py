"""WebSockets end with a code and a reason instead of an error response."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response, WebSocket, status
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect, WebSocketState

from opportune.db.errors import is_outage
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

logger = logging.getLogger(__name__)

MAX_REASON_BYTES = 123
"""Limit of RFC 6455 for the reason in a close frame."""
REASONS: dict[type[Exception], str] = {NotFound: _l("Not found."), Forbidden: _l("You may not do this.")}
TRY_AGAIN: str = _l("Try again in a moment.")

Handler = Callable[[Request, Any], Awaitable[Response]]


def or_close(handler: Handler) -> Any:
    """Return an exception handler that closes WebSockets, and calls `handler` for HTTP requests."""

    async def handle(connection: Request | WebSocket, error: Exception) -> Response | None:
        if isinstance(connection, WebSocket):
            await _close(connection, error)
            return None
        return await handler(connection, error)

    return handle


async def on_disconnect(_socket: WebSocket, _error: WebSocketDisconnect) -> None:
    """Ignore disconnects, so that routes need not catch them."""


async def _close(socket: WebSocket, error: Exception) -> None:
    """Close with 1008 for refusals and 1013 for temporary errors. Bugs are raised."""
    if isinstance(error, DBAPIError) and not is_outage(error):
        raise error
    code = status.WS_1008_POLICY_VIOLATION if _is_refusal(error) else status.WS_1013_TRY_AGAIN_LATER
    if code == status.WS_1013_TRY_AGAIN_LATER:
        logger.error("a WebSocket was closed: %s", type(error).__name__)
    if WebSocketState.DISCONNECTED not in (socket.application_state, socket.client_state):
        await socket.close(code, _reason(error))


def _is_refusal(error: Exception) -> bool:
    is_client_error = isinstance(error, HTTPException) and error.status_code < 500
    return is_client_error or isinstance(error, (NotFound, Forbidden, FieldErrors))


def _reason(error: Exception) -> str:
    """Return a reason for the close frame. Other errors get a general one, because their messages are not for users."""
    reason = REASONS.get(type(error), TRY_AGAIN)
    if isinstance(error, HTTPException):
        reason = str(error.detail)
    elif isinstance(error, FieldErrors):
        reason = str(error)
    return gettext(reason).encode()[:MAX_REASON_BYTES].decode(errors="ignore")
