"""A site with only the admin, in which a job checks or imports a file for its owner."""

import asyncio
import logging
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Mount

from opportune.accounts.groups.permissions import read_permissions
from opportune.accounts.models import User
from opportune.admin.current_request import use_request
from opportune.admin.middleware import ADMIN_PATH
from opportune.admin.models import ImportFile
from opportune.admin.site import make_site
from opportune.contrib.import_export.import_run import process, save_outcome
from opportune.contrib.import_export.jobs import BUSY_STATES
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.i18n import gettext
from opportune.i18n.languages import use_language
from opportune.jobs import JobContext, PermanentFailure
from opportune.web.cache.factory import INFO_KEY, open_cache

logger = logging.getLogger(__name__)


async def process_in_site(run: JobContext, file_id: int) -> None:
    """Check or import the file. An error of the site becomes the result of the check."""
    async with run.database.reader(fresh=True) as session:
        file = await session.get(ImportFile, file_id)
        user = await session.get(User, file.owner_id) if file else None
        permissions = await read_permissions(session, user)
    if file is None or user is None or file.state not in BUSY_STATES:
        return  # another attempt has finished it
    app = await asyncio.to_thread(_make_app, run)
    view = app.state.admin.find_view(file.identity)
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{ADMIN_PATH}/{file.identity}/import",
        "query_string": b"",
        "headers": [],
        "app": app,
        "router": app.router,
        "state": {"user": user, "permissions": permissions, "impersonator": None, "session": None, "token": None},
    }
    request = Request(scope)
    with changes_come_from(ChangeOrigin("admin", scope)), use_request(request):
        try:
            await process(request, view, file)
        except Exception as error:
            logger.exception("import of %s", file.name)
            with use_language(file.choices["language"]):
                message = gettext("The import failed because of an error of this site. Nothing was stored.")
            await save_outcome(view, file, {"error": message})
            raise PermanentFailure(f"{type(error).__name__}: {error}") from error
        await app.state.admin.extensions.rows_changed(request, {file.identity})


def _make_app(run: JobContext) -> Any:
    """Return an application with the services of the job and the admin."""
    app = FastAPI()
    services: Any = run.services
    for name, service in services.by_name().items():
        setattr(app.state, name, service)
    app.state.settings, app.state.database, app.state.storage = run.settings, run.database, run.storage
    app.state.features = services.features
    app.state.cache = run.database.info.get(INFO_KEY) or open_cache(services)
    app.state.admin = make_site(app, ADMIN_PATH)
    app.router.routes.append(Mount(ADMIN_PATH, app.state.admin.admin, name="admin"))
    return app
