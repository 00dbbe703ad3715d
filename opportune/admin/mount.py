"""Mounts the admin at /admin. It is imported and built on its first request."""

import asyncio
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from fastapi import FastAPI, HTTPException
from jinja2 import BytecodeCache
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from opportune.accounts.groups.permissions import get_grants
from opportune.admin.current_request import use_request
from opportune.admin.dashboard.shared_counts import FreshCountsMiddleware
from opportune.admin.middleware import RelativeUrlsMiddleware, StaffOnlyMiddleware
from opportune.feature import Feature
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.handlers import show_errors_with
from opportune.web.rendering import icons

ADMIN_PATH = "/admin"
NO_GRANTS = _l("None of your groups has permissions in the admin. A superuser can add you to a group.")


def add_admin(app: FastAPI) -> None:
    """Add the admin with the views of every feature to the site."""
    admin = LazyAdmin(app)
    app.router.routes.append(Route(ADMIN_PATH, _redirect_to_index, methods=["GET"], include_in_schema=False))
    middleware = [
        Middleware(StaffOnlyMiddleware),
        Middleware(FreshCountsMiddleware),
        Middleware(RelativeUrlsMiddleware, admin=admin, address=ADMIN_PATH),
    ]
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
        from opportune.admin.site import make_site  # noqa: PLC0415 - SQLAdmin and forms import slowly

        return make_site(self.app, ADMIN_PATH, self.bytecode_cache)

    @property
    def routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = self.site.admin.router.routes
        return routes

    async def load(self) -> None:
        """Build the admin in a thread, so that its imports do not block the event loop."""
        if "site" not in vars(self):
            async with self.lock:
                await asyncio.to_thread(getattr, self, "site")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Call the router, because the Starlette application has its own error handlers.
        request = Request(scope)
        show_errors_with(request, partial(self.site.render_error, request))
        if not await get_grants(request):
            raise HTTPException(403, NO_GRANTS)
        with use_request(request):  # after the views are built, because they store the names for all users
            await self.site.admin.router(scope, receive, send)


def add_icons(features: Sequence[Feature]) -> None:
    """Add the icons of navigation links and listed views to the icon sheet.

    If a feature names a module, its icons are found in the source or added when the admin is built.
    """
    icons.add(*(link.icon for feature in features for link in feature.navigation))
    for feature in features:
        listed: Sequence[Any] = () if isinstance(feature.admin, str) else feature.admin
        icons.add(*(view.icon for view in listed))


async def _redirect_to_index(request: Request) -> Response:
    return RedirectResponse(f"{ADMIN_PATH}/")
