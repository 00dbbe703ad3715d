"""Closing of WebSockets whose routes raise errors, with a code and a reason."""

import logging
from typing import Any

from fastapi import HTTPException, WebSocket, status
from sqlalchemy.exc import DBAPIError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from opportune.db.errors import is_outage
from opportune.errors import FieldErrors, Forbidden, NotFound, Refused
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.storage.storage import StorageError
from opportune.web.errors.status_texts import STATUS_MESSAGES

logger = logging.getLogger(__name__)

MAX_REASON_BYTES = 123
"""Limit of RFC 6455 for the reason in a close frame."""
REASONS: dict[type[Exception], str] = {NotFound: _l("Not found."), Forbidden: _l("You may not do this.")}
TRY_AGAIN: str = _l("Try again in a moment.")


async def ignore_disconnect(_socket: WebSocket, _error: WebSocketDisconnect) -> None:
    """Handle the error of a client that has left, so that routes need not catch it."""


async def close_after_error(socket: WebSocket, error: Exception) -> None:
    """Close with 1008 for refusals and 1013 for temporary errors. Bugs are raised."""
    if isinstance(error, DBAPIError) and not is_outage(error):
        raise error
    status_code: int = getattr(error, "status_code", getattr(error, "status", 500))
    if status_code < 500 or isinstance(error, (NotFound, Forbidden, FieldErrors)):
        code = status.WS_1008_POLICY_VIOLATION
    else:
        code = status.WS_1013_TRY_AGAIN_LATER
        logger.error("a WebSocket was closed: %s", type(error).__name__)
    if WebSocketState.DISCONNECTED not in (socket.application_state, socket.client_state):
        await socket.close(code, _reason(error))


def _reason(error: Exception) -> str:
    """Return a reason for the close frame. Other errors get a general one, because their messages are not for users."""
    reason = REASONS.get(type(error), TRY_AGAIN)
    if isinstance(error, HTTPException):
        detail: Any = error.detail  # FastAPI allows any JSON value
        reason = detail if isinstance(detail, str) else STATUS_MESSAGES.get(error.status_code, TRY_AGAIN)
    elif isinstance(error, (FieldErrors, Refused, StorageError)):
        reason = str(error)
    return gettext(reason).encode()[:MAX_REASON_BYTES].decode(errors="ignore")
