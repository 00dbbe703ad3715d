"""The request, job or tool call that changes rows: the audit log says how and by whom."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ChangeOrigin:
    """How rows are changed at the moment."""

    channel: str
    """Such as `api`, `page`, `job books.summarise` or `tool add_todo`."""
    scope: Mapping[str, Any] = field(default_factory=dict)
    """ASGI scope of the request; its state holds the user once a route has asked for it."""


current_origin: ContextVar[ChangeOrigin | None] = ContextVar("current_origin", default=None)
"""None in commands and in the framework's own background work."""


@contextmanager
def changes_come_from(origin: ChangeOrigin) -> Iterator[None]:
    """Record changes of rows within this block as made by a request, job or tool call."""
    token = current_origin.set(origin)
    try:
        yield
    finally:
        current_origin.reset(token)
