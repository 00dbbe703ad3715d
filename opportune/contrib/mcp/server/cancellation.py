"""Cancellation of tool calls.

Clients of the protocol before 2026 cancel a call by a notification in another request, which another process may
receive. Later clients close the connection.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from anyio import CancelScope

from opportune.services import Services

TOPIC = "mcp.cancelled"

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
            del _scopes[key]


def cancel_call(key: str | None) -> None:
    if scope := _scopes.get(key or ""):
        scope.cancel()


@asynccontextmanager
async def cancellations(services: Services) -> AsyncIterator[None]:
    """Cancel calls of this process for notifications that other processes receive."""
    services.database.bus.subscribe(TOPIC, cancel_call)
    yield
