"""The site in an existing FastAPI application: which requests it serves, and its lifespan."""

import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.db.sessions.dependencies import SITE
from opportune.errors import OperatorError
from opportune.web.language import url_prefixes
from opportune.web.routing.root_path import path_below_root
from opportune.web.routing.router import check_start
from opportune.web.static.files import STATIC_URL

logger = logging.getLogger("opportune")

LEFT_OUT_PATHS = ("/", "/favicon.ico", "/robots.txt")
"""Paths at which an existing application has its own pages, or none."""
REQUIRED_PREFIXES = ("/accounts", "/admin", "/api/v1/auth", "/api/v1/users")
"""Pages of these paths must be the site's. Others are left to the application if it has a route for them."""
PARAMETER = re.compile(r"\{[^}]*\}")
NOT_STARTED = (
    "Opportune has not started, because the lifespan of this application has not run. Call opportune.mount() for the "
    "application that the server runs, and enter the client in tests: with TestClient(app) as client."
)


class MountedSite:
    """The site in an existing application, and its paths."""

    def __init__(self, app: FastAPI, site: FastAPI) -> None:
        self.app = app
        self.site = site
        self.prefixes = tuple(f"{prefix}/" for prefix in url_prefixes(site.state.settings))
        self.is_running = False
        self.routes: dict[str, list[BaseRoute]] = {}
        """Routes of the site by the first segment of their paths."""
        self._collect_routes()

    def _collect_routes(self) -> None:
        """Collect the routes that the application leaves to the site.

        Raises:
            OperatorError: The application has a route where the site needs its own.
        """
        self.routes = {}
        other_paths = [*_paths_of(self.app.routes)]
        for route in self.site.routes:
            path: str = getattr(route, "path", "")
            first_segment = path.removeprefix("/").partition("/")[0]
            is_taken = path != STATIC_URL and any(_overlap(path, other) for other in other_paths)
            if is_taken and path.startswith(REQUIRED_PREFIXES):
                raise OperatorError(
                    f"The application has a route for {path}, which Opportune needs. Move yours to another path: "
                    f"/{first_segment} belongs to opportune.mount()."
                )
            if not is_taken and path not in LEFT_OUT_PATHS:
                self.routes.setdefault(first_segment, []).append(route)

    def serves(self, scope: Scope) -> bool:
        """Return whether a route of the site matches a request, also below the prefix of a language."""
        root_path: str = scope.get("root_path", "")
        path = path_below_root(scope)
        if prefix := next((prefix for prefix in self.prefixes if path.startswith(prefix)), ""):
            path = path[len(prefix) - 1 :]
            scope = {**scope, "path": root_path + path}
        first_segment = path.split("/", 2)[1] if path.startswith("/") else ""
        routes = self.routes.get(first_segment, ())
        return any(route.matches(scope)[0] is not Match.NONE for route in routes)

    def lacks_start_page(self, scope: Scope) -> bool:
        """Return whether a browser requests `/`, to which the site redirects, and the application has no such route."""
        return (
            scope["type"] == "http"
            and path_below_root(scope) == "/"
            and "text/html" in Headers(scope=scope).get("accept", "")
            and all(route.matches(scope)[0] is Match.NONE for route in self.app.routes)
        )

    def lifespan_with(self, original: Any) -> Any:
        """Return a lifespan that starts the site before the application, and stops it afterwards."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
            try:
                self._collect_routes()  # again: the application may have more routes now
                async with self.site.router.lifespan_context(self.site) as site_state:
                    self.is_running = True
                    async with original(app) as state:
                        yield {**(site_state or {}), **(state or {})} or None
            finally:
                self.is_running = False

        return lifespan


class SiteMiddleware:
    """Passes requests for the site's paths to the site, and all others to the application."""

    def __init__(self, app: ASGIApp, mounted: MountedSite) -> None:
        self.app = app
        self.mounted = mounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, check_start(send, lambda: self.mounted.is_running))
        elif self.mounted.lacks_start_page(scope):
            await RedirectResponse("/accounts/profile", 303)(scope, receive, send)
        elif not self.mounted.serves(scope):
            with changes_come_from(ChangeOrigin("api", scope)):
                scope.setdefault("state", {})
                scope[SITE] = self.mounted.site
                await self.app(scope, receive, send)
        elif self.mounted.is_running or scope["type"] != "http":
            await self.mounted.site(scope, receive, send)
        else:
            logger.error(NOT_STARTED)
            await PlainTextResponse(NOT_STARTED, 503)(scope, receive, send)


def _paths_of(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """Yield the paths of routes, with a slash at the end for a mount. Leave out those for any first segment."""
    for context in iter_route_contexts(routes):
        path = (context.path or "") + ("/" if isinstance(context.original_route, Mount) else "")
        if not path.startswith(("/{", "//")) and path != "/":
            yield path


def _overlap(path: str, other: str) -> bool:
    """Return whether a path of the site is also one of the application, or is within a mount of the other."""
    path, other = (PARAMETER.sub("{}", text) for text in (path, other))
    is_within = other.endswith("/") and path.startswith(other)
    is_in_admin = path == "/admin" and other.startswith("/admin/")
    return path == other.rstrip("/") or is_within or is_in_admin
