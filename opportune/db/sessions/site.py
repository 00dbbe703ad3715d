"""The site of a request. For routes of an existing application, `request.app` is that application instead."""

from copy import copy
from typing import Any, TypeVar

from starlette.requests import HTTPConnection

C = TypeVar("C", bound=HTTPConnection)

SITE = "opportune.site"
"""Key of ASGI scopes. `opportune.mount` sets it for requests to routes of the existing application."""


def on_site(connection: C) -> C:
    """Return the connection with the site as its `app`, for dependencies in routes of an existing application."""
    site: Any = connection.scope.get(SITE)
    if site is None or connection.scope["app"] is site:
        return connection
    connection.scope.setdefault("state", {})  # before the scope is copied: both share the state
    copied = copy(connection)
    copied.scope = {**connection.scope, "app": site}
    return copied


def is_foreign_route(connection: HTTPConnection) -> bool:
    """Return whether the request is for a route of an existing application."""
    return SITE in connection.scope
