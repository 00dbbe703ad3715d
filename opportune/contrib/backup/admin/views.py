"""Admin pages that download a backup and list the scheduled ones."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqladmin import expose
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.contrib.backup.jobs import read_backup_state
from opportune.contrib.backup.scratch import scratch_folder
from opportune.contrib.backup.store import BackupStore
from opportune.contrib.operations.operations import record_operation
from opportune.contrib.operations.page import OPERATIONS_PATH, OperationsPage, reauthentication_required
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.web.rendering.flash import flash

ACTION = "download-backup"
PREFIX = "opportune-download-"
NO_DISK = (
    "This machine has no disk to write a backup to ({reason}). Run it on your own machine, with this site's "
    f"DATABASE_URL in the environment: {OPPMAN} backup"
)


class Download(FileResponse):
    """Response with a file that is deleted after it is sent, also when the browser disconnects."""

    def __init__(self, path: Path, cleanup: ExitStack) -> None:
        super().__init__(path, filename=path.name, headers={"Cache-Control": "no-store"})
        self.cleanup = cleanup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.to_thread(self.cleanup.close)


async def download_backup(request: Request) -> Download:
    """Back up database and uploads and record it in the admin's history. The next page shows notices."""
    names = [feature.name for feature in request.app.state.features]
    notices: list[str] = []
    try:
        download = await asyncio.to_thread(_create_download, request.app.state.settings, names, notices.append)
    except OperatorError as error:
        await record_operation(request, ACTION, f"Failed: {error}")
        raise
    with ExitStack() as cleanup:
        cleanup.callback(download.cleanup.close)
        await record_operation(request, ACTION, str(download.filename))
        cleanup.pop_all()
    for notice in notices:
        flash(request, notice, "warning")
    return download


def _create_download(settings: Settings, features: Sequence[str], notify: Callable[[str], None]) -> Download:
    from opportune.contrib.backup import create  # loads Alembic and psycopg

    with ExitStack() as cleanup:
        folder = cleanup.enter_context(scratch_folder(PREFIX, NO_DISK))
        path = create.create_backup(settings, MigrationGraph(features), folder, notify)
        return Download(path, cleanup.pop_all())


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
            context |= {"location": store.label, "files": await asyncio.to_thread(store.list_own)}
        except OperatorError as error:
            context["error"] = str(error)
        return await self.render(request, "backup/list.html", context)
