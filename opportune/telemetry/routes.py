"""The template of the route that a request has found, which names no row and nobody: `/books/{book_id}`."""

from starlette.routing import Mount
from starlette.types import Scope

NO_ROUTE = "none"
"""Of what nothing answers: addresses that strangers make up."""


def route_template(scope: Scope) -> str:
    """Template of the path, with what it is mounted below; asked when the request has been answered."""
    route = scope.get("route")
    if route is None:
        return NO_ROUTE
    path: str = getattr(route, "path_format", "") or getattr(route, "path", "")
    mounted = "" if isinstance(route, Mount) else scope.get("root_path", "")
    return f"{mounted}{path.removesuffix('{path}').rstrip('/') or '/'}" if path or mounted else NO_ROUTE
