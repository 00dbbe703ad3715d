"""The message of a client, read before the SDK handles it: its caller, and the cancellation of calls.

Clients of the protocol before 2026 cancel a call by a notification in another request, which another process may
receive. Later clients close the connection.
"""

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from anyio import CancelScope
from fastapi import Request
from pydantic_core import from_json

from opportune.accounts.models import ApiToken, User
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.mcp.server.offers import Offers, offers_of
from opportune.contrib.tools import Tool, ToolResult, toolbox_of
from opportune.contrib.tools.tool_app import Headers
from opportune.contrib.tools.toolbox import Toolbox
from opportune.services import Services

SESSION_HEADER = "Mcp-Session-Id"
CANCELLED = "notifications/cancelled"
TOPIC = "mcp.cancelled"


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


@dataclass(frozen=True)
class Caller:
    """The user and the token of a message, which limit what it may use.

    Attributes:
        session_id: Id that the client got for its session; empty from clients without sessions.
        headers: Additional headers for tools, such as the team.
    """

    toolbox: Toolbox
    offers: Offers
    user: User
    token: ApiToken
    session_id: str = ""
    headers: Headers = ()

    def allowed(self, toolbox: Toolbox) -> dict[str, Tool]:
        """Return the functions that the token's scopes allow."""
        return toolbox.allowed(self.token.scopes).tools

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        tool = self.toolbox.tools.get(name)
        return tool.schema.parameters if tool else None

    async def call(self, toolbox: Toolbox, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        if name in toolbox.tools and (missing := toolbox.missing_scopes(name, self.token.scopes)):
            return ToolResult(f"This token lacks the scope {' and '.join(missing)}.", is_error=True)
        call = ToolCall("mcp", name, json.dumps(arguments))
        return await toolbox.call(call, self.user, token=self.token, headers=self.headers)


def create_caller(request: Request, message: ClientMessage, user: User, token: ApiToken) -> Caller:
    """Return the caller of a message. A session id only tells the calls of clients apart; the server keeps no state."""
    session_id = request.headers.get(SESSION_HEADER, "")
    if message.method == "initialize":
        session_id = secrets.token_urlsafe(16)
    names = {name.lower().encode() for feature in request.app.state.features for name in feature.llm.tool_headers}
    headers = [(name, value) for name, value in request.headers.raw if name in names]
    return Caller(toolbox_of(request.app).immediate, offers_of(request.app), user, token, session_id, headers)


_scopes: dict[str, CancelScope] = {}
"""Running calls of this process."""


def call_key(user_id: int, session_id: str, request_id: object) -> str:
    return json.dumps([user_id, session_id, request_id])


@contextmanager
def cancellable(key: str) -> Iterator[CancelScope]:
    """Run the block until `cancel_call` gets the same key."""
    with CancelScope() as scope:
        _scopes[key] = scope
        try:
            yield scope
        finally:
            if _scopes.get(key) is scope:  # a client may have used the id again
                del _scopes[key]


def cancel_call(key: str | None) -> None:
    if scope := _scopes.get(key or ""):
        scope.cancel()


@asynccontextmanager
async def cancellations(services: Services) -> AsyncIterator[None]:
    """Cancel calls of this process for notifications that other processes receive."""
    services.database.bus.subscribe(TOPIC, cancel_call)
    yield
