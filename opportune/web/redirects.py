"""Targets of redirects: paths of this site, and pages to return to, because some URLs only accept forms."""

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlencode

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

MAX_URL_LENGTH = 2000
UNSAFE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Backslash, control characters, line ends, and halves of surrogate pairs. Joiners, as in Persian, are safe."""


def safe_redirect_path(url: str | None, default: str = "/") -> str:
    """Return the URL if it is a path of this site, else the default."""
    if not url or len(url) > MAX_URL_LENGTH:
        return default
    return url if all(map(_is_path, (url, unquote(url)))) else default


def with_next(page: str, next_path: str) -> str:
    """Return the URL of a page that leads to `next_path` afterwards, such as the sign-in page."""
    return f"{page}?{urlencode({'next': next_path})}"


def _is_path(text: str) -> bool:
    # Browsers read a backslash as a slash, skip tabs and line ends, and read `//` as another host.
    return text.startswith("/") and not text.startswith("//") and not UNSAFE.search(text)


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
