"""The request whose user sees the fields of a view. SQLAdmin and templates read them without a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.requests import Request

current_request: ContextVar[Request | None] = ContextVar("admin_request", default=None)


@contextmanager
def names_are_for(request: Request) -> Iterator[None]:
    """Let the views return only fields that the user of the request may see, until the block ends."""
    token = current_request.set(request)
    try:
        yield
    finally:
        current_request.reset(token)
