"""Search for a page to return to, because some URLs only accept forms."""

from collections.abc import Sequence
from urllib.parse import unquote

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import Scope


def nearest_page(request: HTTPConnection, path: str) -> str:
    """Return the path if it responds to GET, else the nearest path above it that does."""
    page = path.partition("?")[0]
    if _responds_to_get(request, page):
        return path
    while page := page.rpartition("/")[0]:
        if _responds_to_get(request, page):
            return page
    return "/"


def _responds_to_get(request: HTTPConnection, path: str) -> bool:
    root_path = request.scope.get("app_root_path", request.scope.get("root_path", ""))  # without that of a mount
    scope = {"type": "http", "method": "GET", "path": unquote(path), "root_path": root_path, "headers": []}
    return _any_matches(request.app.router.routes, scope)


def _any_matches(routes: Sequence[BaseRoute], scope: Scope) -> bool:
    for route in routes:
        match, changes = route.matches(scope)
        if match is Match.FULL:
            inner: Sequence[BaseRoute] = getattr(route, "routes", None) or ()
            return not inner or _any_matches(inner, {**scope, **changes})
    return False
