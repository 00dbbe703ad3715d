"""The message of a client, read before the SDK handles it."""

import secrets
from typing import Any, NamedTuple

from fastapi import Request
from pydantic_core import from_json

SESSION_HEADER = "Mcp-Session-Id"


class ClientMessage(NamedTuple):
    body: bytes
    method: str
    params: dict[str, Any]

    @property
    def wants_progress(self) -> bool:
        meta = self.params.get("_meta")
        return isinstance(meta, dict) and "progressToken" in meta


async def read_message(request: Request) -> ClientMessage:
    """Read the message of a request. The SDK refuses invalid ones, which have no method here."""
    body = await request.body()
    try:
        message = from_json(body)
    except ValueError:
        message = None
    message = message if isinstance(message, dict) else {}
    params = message.get("params")
    return ClientMessage(body, str(message.get("method", "")), params if isinstance(params, dict) else {})


def session_id_of(request: Request, message: ClientMessage) -> str:
    """Return the id of the client's session. It only tells the calls of clients apart; the server keeps no state."""
    if message.method == "initialize":
        return secrets.token_urlsafe(16)
    return request.headers.get(SESSION_HEADER, "")
