"""Routes of requests, as metrics, traces and reports name them."""

from collections.abc import Mapping
from typing import Any

from starlette.routing import Mount

NO_ROUTE = "none"
"""Template for paths without a route. Clients can invent any number of them."""


def route_template(scope: Mapping[str, Any]) -> str:
    """Return the path template including mounts, such as `/books/{book_id}`, which contains no personal data.

    Call it after the request was handled.
    """
    route = scope.get("route")
    mount: str = scope["root_path"] if "app_root_path" in scope else ""
    if route is None:  # FastAPI's router does not set the route of mounted apps
        return mount or NO_ROUTE
    path: str = getattr(route, "path_format", "") or getattr(route, "path", "")
    prefix = "" if isinstance(route, Mount) else mount
    return f"{prefix}{path.removesuffix('{path}').rstrip('/')}" or "/"
