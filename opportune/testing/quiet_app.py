"""A site that does nothing that a test has not asked for: most look at no page of the admin, and queue no job."""

import time
from collections.abc import Sequence

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from opportune import application
from opportune.admin.site import ADMIN_PATH, add_admin
from opportune.feature import Feature
from opportune.settings import Settings


def quiet_app(settings: Settings, features: Sequence[Feature] | None = None) -> FastAPI:
    """Do what `create_app` does, but make the admin when it is first asked for, and wait for a job to be queued."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "add_admin", lambda app: app.router.routes.append(AdminWhenAsked(app)))
        patch.setattr(application, "analyze", lambda _routes: None)  # each when it is first asked for, as in production
        app = application.create_app(settings, features)
    app.state.is_quiet = True
    app.state.jobs.worker.looked = time.monotonic()  # no look at the first commit
    return app


class AdminWhenAsked(BaseRoute):
    """Stands where the routes of the admin will be."""

    path = ADMIN_PATH

    def __init__(self, site: FastAPI) -> None:
        self.site = site

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if f"{scope['path']}/".startswith(f"{ADMIN_PATH}/") else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self in self.site.router.routes:
            self.site.router.routes.remove(self)
            add_admin(self.site)
        await self.site.router(scope, receive, send)
