"""The current request of the admin. SQLAdmin and templates do not pass it when they read the fields of a view."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.requests import Request

current_request: ContextVar[Request | None] = ContextVar("admin_request", default=None)


@contextmanager
def use_request(request: Request) -> Iterator[None]:
    """Limit the fields of all views to those that the user of this request may see, until the block ends."""
    token = current_request.set(request)
    try:
        yield
    finally:
        current_request.reset(token)
