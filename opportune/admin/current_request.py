"""The current request of the admin, and values that live as long as it. Imports no SQLAdmin, for the middleware.

SQLAdmin and templates do not pass the request when they read the fields of a view.
"""

from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, cast

from starlette.requests import Request

from opportune.context import use_value

current_request: ContextVar[Request | None] = ContextVar("admin_request", default=None)


def use_request(request: Request) -> AbstractContextManager[None]:
    """Limit the fields of all views to those that the user of this request may see, until the block ends."""
    return use_value(current_request, request)


def values_of_request(request: Request, name: str) -> dict[Any, Any]:
    """Return a dict that lives as long as the request. It is empty at first."""
    if not hasattr(request.state, name):
        setattr(request.state, name, {})
    return cast("dict[Any, Any]", getattr(request.state, name))


def changed_identities(request: Request) -> AbstractSet[str]:
    """Return the models for which this request has added entries to the audit log."""
    return getattr(request.state, "changed_identities", frozenset())
