"""An admin that is made when somebody asks for it: that takes longer than many a test, and most see no page of it."""

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from opportune.admin.site import ADMIN_PATH, add_admin


def add_admin_when_asked(app: FastAPI) -> None:
    """Do what `add_admin` does, at the first request below its address."""
    app.router.routes.append(AdminWhenAsked(app))


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
