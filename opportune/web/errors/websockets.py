"""How a WebSocket ends when its route raises: these connections take a code and a reason in place of a response."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response, WebSocket, status
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect, WebSocketState

from opportune.db.errors import is_outage
from opportune.errors import FieldErrors, Forbidden, NotFound

logger = logging.getLogger(__name__)

MAX_REASON_BYTES = 123
"""What a frame that closes a connection holds, by RFC 6455."""

Handler = Callable[[Request, Exception], Awaitable[Response]]


def or_close(handler: Handler) -> Any:
    """Return a handler of errors that closes WebSockets, and leaves requests to the one that is given."""

    async def handle(connection: Request | WebSocket, error: Exception) -> Response | None:
        if isinstance(connection, WebSocket):
            await _close(connection, error)
            return None
        return await handler(connection, error)

    return handle


async def on_disconnect(_socket: WebSocket, _error: WebSocketDisconnect) -> None:
    """Ignore that a client left: routes need not catch this."""


async def _close(socket: WebSocket, error: Exception) -> None:
    """Close with 1008 for a refusal and 1013 for what may work later; errors that are bugs are raised."""
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
    """Return a short reason; nothing of an error's words unless they are for users."""
    words = {NotFound: "Not found.", Forbidden: "You may not do this."}.get(type(error), "Try again in a moment.")
    if isinstance(error, HTTPException):
        words = str(error.detail)
    elif isinstance(error, FieldErrors):
        words = str(error)
    return words.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
