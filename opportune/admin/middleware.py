"""Mount of the admin at /admin, which is imported and built on its first request, and its middleware.

The middleware lets only staff in, and removes scheme and host from URLs in pages.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
from types import SimpleNamespace
from typing import Any, cast

from fastapi import FastAPI, HTTPException
from jinja2 import BytecodeCache
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import URL, URLPath
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.accounts.dependencies import get_optional_user
from opportune.accounts.models import User
from opportune.accounts.permissions import get_permissions
from opportune.accounts.sign_in_methods.second_factor import setup_is_required
from opportune.accounts.sign_in_redirects import make_sign_in_error
from opportune.admin.current_request import changed_identities, use_request
from opportune.feature import Feature
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.problem import problem, show_errors_with, wants_json
from opportune.web.static import icons

ADMIN_PATH = "/admin"
TWO_FACTOR_PATH = "/accounts/two-factor"

NOT_STAFF = _l("The admin is for staff.")
NO_PERMISSIONS = _l("None of your groups has permissions in the admin. A superuser can add you to a group.")
NOT_AS_ANOTHER_USER = _l("You are signed in as another user. Return to your own account first.")
NO_SECOND_FACTOR = _l("The admin requires a second factor. Set one up at /accounts/two-factor or /accounts/passkeys.")


class StaffOnlyMiddleware:
    """Responds with 403 to users who are not staff, even for URLs of the admin that do not exist.

    The user is read for each request, so a user who is demoted or signed out is refused immediately. The module
    `authorization` checks permissions of pages and rows.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        user = await get_optional_user(request)
        if user is None:
            raise make_sign_in_error(request)
        if refusal := await _find_refusal(request, user):
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


async def _find_refusal(request: Request, user: User) -> Response | None:
    if request.state.impersonator is not None:
        return problem(request, 403, NOT_AS_ANOTHER_USER)
    if not user.may_enter_admin:
        return problem(request, 403, NOT_STAFF)
    if await setup_is_required(request.app.state.database, request.app.state.settings, user):
        if request.method == "GET" and not wants_json(request):
            return RedirectResponse(TWO_FACTOR_PATH, 303)
        return problem(request, 403, NO_SECOND_FACTOR)
    return None


class RelativeUrlsMiddleware:
    """Generates URLs of the admin as paths, without scheme and host.

    SQLAdmin writes absolute URLs into its pages and redirects. Behind a proxy that terminates TLS, these begin
    with http:, and browsers refuse to load them or to send forms to them.
    """

    def __init__(self, app: ASGIApp, admin: "LazyAdmin", path: str) -> None:
        self.app = app
        self.admin = admin
        self.path = path
        self.paths_by_name: dict[str, Callable[..., _Path]] = {}
        """Functions that return the path of a route of the admin for its parameters, by the full name of the route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.admin.load()
        self.paths_by_name = self.paths_by_name or {
            f"admin:{name}": lru_cache(typed=True)(partial(self._path_of, route, name))
            for route in reversed(self.admin.routes)  # of routes with the same name, the first one counts
            if (name := getattr(route, "name", ""))
        }
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        router = SimpleNamespace(url_path_for=partial(self._url_path_for, scope["router"]))
        hostless_scope = {**scope, "headers": headers, "server": None, "router": router}
        try:
            await self.app(hostless_scope, receive, send)
        finally:
            scope["route"] = hostless_scope.get("route")  # for the metrics of requests

    def _path_of(self, route: BaseRoute, name: str, /, **parameters: Any) -> "_Path":
        return _Path(self.path + route.url_path_for(name, **parameters))

    def _url_path_for(self, router: Any, name: str, /, **parameters: Any) -> "_Path":
        # A list has a hundred links, and a router would search all routes of the site for each.
        if path_of := self.paths_by_name.get(name):
            return path_of(**parameters)
        return _Path(str(router.url_path_for(name, **parameters)))


class _Path(URLPath):
    """Path that stays a path when a template or SQLAdmin makes it absolute."""

    def make_absolute_url(self, base_url: str | URL) -> URL:
        base = base_url if isinstance(base_url, URL) else URL(base_url)
        return URL(base.path.rstrip("/") + self)


def add_admin(app: FastAPI) -> None:
    """Add the admin with the views of every feature to the site."""
    admin = LazyAdmin(app)
    app.router.routes.append(Route(ADMIN_PATH, _redirect_to_index, methods=["GET"], include_in_schema=False))
    middleware = [Middleware(StaffOnlyMiddleware), Middleware(RelativeUrlsMiddleware, admin=admin, path=ADMIN_PATH)]
    app.router.routes.append(Mount(ADMIN_PATH, admin, name="admin", middleware=middleware))


class LazyAdmin:
    """The admin, built on the first request for one of its pages or routes."""

    bytecode_cache: BytecodeCache | None = None
    """Storage of compiled templates that several sites share, such as jinja2.FileSystemBytecodeCache."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.lock = asyncio.Lock()

    @cached_property
    def site(self) -> Any:
        from opportune.admin.site import make_site  # SQLAdmin and forms import slowly

        return make_site(self.app, ADMIN_PATH, self.bytecode_cache)

    @property
    def routes(self) -> list[BaseRoute]:
        return cast("list[BaseRoute]", self.site.admin.router.routes)

    async def load(self) -> None:
        """Build the admin in a thread, so that its imports do not block the event loop."""
        if "site" not in vars(self):
            async with self.lock:
                await asyncio.to_thread(getattr, self, "site")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Call the router, because the Starlette application has its own error handlers.
        request = Request(scope)
        show_errors_with(request, partial(self.site.render_error, request))
        if not await get_permissions(request):
            raise HTTPException(403, NO_PERMISSIONS)
        if (owners := self.site.team_owners) and not request.state.user.is_superuser:
            no_session = cast("AsyncSession", None)  # only a write needs one, to lock the membership
            request.state.crud_team = await owners.find(request, no_session, False, False)

        async def report_changes(message: Message) -> None:
            if message["type"] == "http.response.start" and (identities := changed_identities(request)):
                await self.site.extensions.rows_changed(request, identities)
            await send(message)

        with use_request(request):  # after the views are built, because they store the names for all users
            await self.site.admin.router(scope, receive, report_changes)


def add_icons(features: Sequence[Feature]) -> None:
    """Add the icons of navigation links and listed views to the icon sheet.

    If a feature names the module of its views, their icons are found in the source, or added when the admin is built.
    """
    for feature in features:
        icons.add(*(link.icon for link in feature.site.navigation))
        if not isinstance(feature.admin.views, str):
            icons.add(*(view.icon for view in feature.admin.views))


async def _redirect_to_index(request: Request) -> Response:
    return RedirectResponse(f"{ADMIN_PATH}/")
