"""Admin pages that download a backup and list the scheduled ones."""

import asyncio
from typing import Any

from sqladmin import expose
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.operations.view import OPERATIONS_PATH, OperationsPage, reauthentication_required
from opportune.contrib.backup.admin.download import download_backup
from opportune.contrib.backup.jobs import read_backup_state
from opportune.contrib.backup.store import BackupStore
from opportune.errors import OperatorError
from opportune.web.rendering.flash import flash


class BackupAdmin(OperationsPage):
    @expose("/operations/backup", methods=["POST"], identity="operations-backup")
    @reauthentication_required
    async def download(self, request: Request) -> Response:
        try:
            return await download_backup(request)
        except OperatorError as error:
            flash(request, str(error), "danger")
            return RedirectResponse(OPERATIONS_PATH, 303)

    @expose("/operations/backups", identity="operations-backups")
    @reauthentication_required
    async def list_backups(self, request: Request) -> Response:
        settings = request.app.state.settings
        async with request.app.state.database.reader(fresh=True) as session:
            context: dict[str, Any] = {"backups": await read_backup_state(session, settings), "files": [], "error": ""}
        try:
            store = BackupStore(settings)
            context |= {"location": store.label, "files": await asyncio.to_thread(store.all)}
        except OperatorError as error:
            context["error"] = str(error)
        return await self.render(request, "admin/operations_backups.html", context)
