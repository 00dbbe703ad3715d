"""What a request is told by: its method and the template of its route, which names nobody: `/books/{book_id}`."""

from starlette.routing import Mount
from starlette.types import Scope

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""All others are told as one: strangers make them up."""
NO_ROUTE = "none"
"""Of what nothing answers: addresses that strangers make up."""


def route_template(scope: Scope) -> str:
    """Template of the path, with what it is mounted below; asked when the request has been answered."""
    route = scope.get("route")
    mounted: str = scope["root_path"] if "app_root_path" in scope else ""
    if route is None:  # FastAPI's own router does not tell what is mounted
        return mounted or NO_ROUTE
    path: str = getattr(route, "path_format", "") or getattr(route, "path", "")
    below = "" if isinstance(route, Mount) else mounted
    return f"{below}{path.removesuffix('{path}').rstrip('/')}" or "/"
