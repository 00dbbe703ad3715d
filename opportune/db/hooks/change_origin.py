"""Request, job or tool call that changes rows, for the audit log."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opportune.context import use_value


@dataclass(frozen=True)
class ChangeOrigin:
    """Cause of the current changes."""

    channel: str
    """For example `api`, `page`, `job books.summarise` or `tool create_todo`."""
    scope: Mapping[str, Any] = field(default_factory=dict)
    """ASGI scope of the request. Its state holds the user once a dependency has loaded it."""
    started_at: float = field(default_factory=time.monotonic)


current_origin: ContextVar[ChangeOrigin | None] = ContextVar("current_origin", default=None)
"""None in commands and in background work of the framework."""


def changes_come_from(origin: ChangeOrigin) -> AbstractContextManager[None]:
    """Attribute changes of rows within this block to a request, job or tool call."""
    return use_value(current_origin, origin)


def acting_user_id() -> int | None:
    """Return the id of the user who makes the current changes, or of the superuser who impersonates the user."""
    origin = current_origin.get()
    if origin is None:
        return None
    state = origin.scope.get("state", {})
    user = state.get("impersonator") or state.get("user")
    return user.id if user else None
