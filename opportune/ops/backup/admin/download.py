"""A backup that is made for one download and not kept."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from opportune.admin.operations.operations import record_operation
from opportune.config.settings import Settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.ops.backup.create import create_backup
from opportune.runtime.atomic_files import private_folder
from opportune.web.rendering.flash import flash

ACTION = "download-backup"
PREFIX = "opportune-download-"
NO_DISK = (
    "This machine has no disk to make a backup on ({reason}). Make it on your own, with this site's DATABASE_URL in "
    "the environment: python3 oppman.py backup"
)


class Download(FileResponse):
    """A file that is deleted after the response, also when the browser disconnects."""

    def __init__(self, path: Path, undo: ExitStack) -> None:
        super().__init__(path, filename=path.name, headers={"Cache-Control": "no-store"})
        self.undo = undo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.to_thread(self.undo.close)


async def download_backup(request: Request) -> Download:
    """Make a backup of database and uploads and log it. Notices are flashed on the next page.

    Raises:
        OperatorError: the backup could not be made.
    """
    state = request.app.state
    names, notices = [feature.name for feature in state.features], list[str]()
    try:
        made = await asyncio.to_thread(_make, state.settings, names, notices.append)
    except OperatorError as error:
        await record_operation(request, ACTION, f"Failed: {error}")
        raise
    with ExitStack() as undo:
        undo.callback(made.undo.close)
        await record_operation(request, ACTION, str(made.filename))
        undo.pop_all()
    for notice in notices:
        flash(request, notice, "warning")
    return made


def _make(settings: Settings, features: Sequence[str], notify: Callable[[str], None]) -> Download:
    with ExitStack() as undo:
        try:
            folder = undo.enter_context(private_folder(PREFIX))
        except OSError as error:
            raise OperatorError(NO_DISK.format(reason=error.strerror or error)) from None
        path = create_backup(settings, MigrationGraph(features), folder, notify)
        return Download(path, undo.pop_all())
