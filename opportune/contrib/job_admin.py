"""Open the admin inside a job, which has no requests: make a site with only the admin, and requests of its users."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Mount

from opportune.accounts.models import User
from opportune.accounts.permissions import read_permissions
from opportune.admin.middleware import ADMIN_PATH
from opportune.admin.site import AdminSite, make_site
from opportune.jobs import JobContext
from opportune.web.cache.factory import INFO_KEY, open_cache


async def open_site(run: JobContext) -> AdminSite:
    """Return the admin with the services of the job. Building it imports all views, so a thread does it."""
    return await asyncio.to_thread(_make_site, run)


def _make_site(run: JobContext) -> AdminSite:
    app = FastAPI()
    run.services.add_to(app.state)
    app.state.cache = run.database.info.get(INFO_KEY) or open_cache(run.services)
    site = make_site(app, ADMIN_PATH)
    app.router.routes.append(Mount(ADMIN_PATH, site.admin, name="admin"))
    return site


async def request_of(site: AdminSite, user: User, path: str, query: Any = (), method: str = "GET") -> Request:
    """Return a request of a user, with the permissions that they have now."""
    async with site.database.reader(fresh=True) as session:
        permissions = await read_permissions(session, user)
        team = await site.team_owners.read_current(session, user) if site.team_owners else None
    state = {"user": user, "permissions": permissions, "crud_team": team}
    scope = {
        "type": "http",
        "method": method,
        "path": f"{ADMIN_PATH}/{path}",
        "query_string": urlencode(query).encode(),
        "headers": [],
        "app": site.site_app,
        "router": site.site_app.router,
        "state": {**state, "impersonator": None, "session": None, "token": None},
    }
    return Request(scope)
