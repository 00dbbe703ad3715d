"""Pages of an import: upload, choice of columns, preview with errors, progress and result."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlmodel import col
from starlette.datastructures import URL, FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_edit_any
from opportune.admin.editing.undo import undo_url
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.actions import list_url
from opportune.admin.lists.row_keys import parse_id
from opportune.admin.models import ImportFile
from opportune.admin.views import AdminView
from opportune.contrib.import_export import import_run
from opportune.contrib.import_export.import_steps import choose_formats, columns_page, render_step, summary_of
from opportune.contrib.import_export.jobs import BUSY_STATES, CANCELLED, process_file
from opportune.contrib.import_export.table import Table, read_table
from opportune.contrib.import_export.targets import find_targets, guess_targets, missing_labels
from opportune.contrib.operations.job_lights import late_hint
from opportune.db.clock import utc_now
from opportune.errors import FieldErrors, NotFound, require_found
from opportune.i18n import get_language, gettext
from opportune.i18n.formats import format_number
from opportune.jobs import defer
from opportune.jobs.management import find_oldest_due, were_cancelled
from opportune.web.forms.uploads import Upload, allow_files, display_name
from opportune.web.rendering.flash import flash

LATE_AFTER = timedelta(seconds=10)
"""Time after which a job that no worker has started is reported."""
LARGE_FILE_ROWS = 300
"""Rows from which a job checks and imports the file."""
MAX_REMEMBERED_FILES = 20
"""Earlier files of a user in which the fields of headings are looked up."""


async def check_import(request: Request, view: AdminView) -> None:
    """Check that the user may import, and may add or change rows.

    Raises:
        HTTPException: The user lacks a permission.
    """
    await view.site.check_access(request, "import")
    if not await import_run.may_write(request, view):
        raise HTTPException(403)


async def upload_page(request: Request, view: AdminView) -> Response:
    await check_import(request, view)
    error = ""
    if request.method == "POST":
        try:
            upload = await _store_upload(request, view)
        except FieldErrors as refusal:
            error = str(refusal)
        else:
            if upload.is_certain:
                return await _start(request, view, upload.file, "checking")
            return RedirectResponse(_file_url(request, view, upload.file), 303)
    targets = await find_targets(request, view)
    status = 400 if error else 200
    return await render_step(request, view, "upload", status=status, error=error, targets=targets.values())


class _StoredUpload(NamedTuple):
    file: ImportFile
    is_certain: bool
    """Whether the user need not check the columns."""


async def _store_upload(request: Request, view: AdminView) -> _StoredUpload:
    """Read the file, guess its columns and store both.

    Raises:
        ValidationRefused: The file cannot be read.
    """
    upload = await _read_upload(request, view.max_import_file_size)
    table = await asyncio.to_thread(read_table, upload.filename, upload.content, view.import_max_rows)
    targets = await find_targets(request, view)
    remembered = await _remembered_targets(request, view)
    guessed = await asyncio.to_thread(guess_targets, view, table, targets, remembered)
    formats = await asyncio.to_thread(choose_formats, table, guessed.names, targets)
    is_guessed = any(guess.is_ambiguous for guess in formats) or table.encoding or table.sheet
    is_certain = guessed.are_certain and not is_guessed and not missing_labels(guessed.names, targets)
    choices = {
        "columns": guessed.names,
        "formats": [guess.format for guess in formats],
        "header": table.header,
        "updates": False,
        "language": get_language().code,
    }
    file = ImportFile(
        owner_id=request.state.user.id,
        identity=view.identity,
        name=display_name(upload.filename)[:100],
        content=await asyncio.to_thread(table.dump),
        choices=choices,
        total=len(table.rows),
    )
    async with view.site.database.writer() as session:
        session.add(file)
    return _StoredUpload(file, is_certain)


async def _read_upload(request: Request, max_bytes: int) -> Upload:
    """Return the file.

    Raises:
        ValidationRefused: The file is missing or too large.
    """
    allow_files(request)
    async with request.form(max_files=1, max_fields=10) as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile) or not upload.filename:
            raise ValidationRefused("Please choose a file.")
        content = await upload.read(max_bytes + 1)
    if len(content) > max_bytes:
        limit = format_number(max_bytes)
        raise ValidationRefused(gettext("Please choose a file of at most %(limit)s bytes.", limit=limit))
    return Upload(upload.filename, content)


async def _remembered_targets(request: Request, view: AdminView) -> Mapping[str, str]:
    """Return the fields that the user has chosen for headings of earlier files."""
    files = select(col(ImportFile.choices)).where(*_owned(request, view), col(ImportFile.state) == "imported")
    remembered: dict[str, str] = {}
    async with view.site.database.reader() as session:
        for choices in await session.scalars(files.order_by(col(ImportFile.id).desc()).limit(MAX_REMEMBERED_FILES)):
            for heading, name in zip(choices["header"], choices["columns"], strict=True):
                if name:
                    remembered.setdefault(heading, name)
    return remembered


def _owned(request: Request, view: AdminView) -> tuple[Any, Any]:
    return col(ImportFile.owner_id) == request.state.user.id, col(ImportFile.identity) == view.identity


async def load_file(request: Request, view: AdminView) -> ImportFile:
    """Return the file in the URL.

    Raises:
        NotFound: The user has no file with this id.
    """
    await check_import(request, view)
    try:
        file_id = parse_id(request.path_params["file_id"])
    except ValueError:
        raise NotFound from None
    async with view.site.database.reader(fresh=True) as session:
        query = select(ImportFile).where(*_owned(request, view), col(ImportFile.id) == file_id)
        file: ImportFile = require_found(await session.scalar(query))
    return file


async def file_page(request: Request, view: AdminView) -> Response:
    """Show the current step of an import. A POST chooses columns (`columns`, `look`), or imports (`import`)."""
    file = await load_file(request, view)
    if file.state in BUSY_STATES and await _was_cancelled(view, file):
        await import_run.store_failure(view.site.database, file.id, CANCELLED)
        file = await load_file(request, view)
    if file.state in BUSY_STATES:
        return await render_step(request, view, "progress", file, hint=await _waiting_hint(request, view))
    if file.state == "imported":
        return await render_step(request, view, "result", file, undo=undo_url(request, view, file.result["entries"]))
    if not file.content:
        raise HTTPException(404)
    if request.method == "POST":
        async with request.form(max_fields=5_000) as form:
            return await _submit(request, view, file, form)
    if file.state == "checked" and request.query_params.get("step") != "columns" and not file.result["error"]:
        return await render_step(request, view, "preview", file)
    return await columns_page(request, view, file)


async def _submit(request: Request, view: AdminView, file: ImportFile, form: FormData) -> Response:
    action = form.get("action")
    if action == "import":
        if file.state != "checked" or file.result["error"]:
            raise HTTPException(400)
        return await _start(request, view, file, "importing")
    updates = bool(form.get("updates"))
    if updates and not may_edit_any(request, view):
        raise HTTPException(403)
    file.result = {}
    file.choices = {**file.choices, "updates": updates}
    if "column" in form:  # without it, the user accepts the suggestions
        file.choices["columns"] = [str(value) for value in form.getlist("column")]
        file.choices["formats"] = [str(value) for value in form.getlist("format")]
    if action == "look":
        return await columns_page(request, view, file)
    try:
        await import_run.plan_import(request, view, await asyncio.to_thread(Table.load, file.content), file.choices)
    except FieldErrors:
        return await columns_page(request, view, file, status=400)
    return await _start(request, view, file, "checking")


async def _start(request: Request, view: AdminView, file: ImportFile, state: str) -> Response:
    """Check or import the file: in this request, or in a job if it has many rows."""
    is_large = file.total >= LARGE_FILE_ROWS and _has_workers(request, view)
    choices = file.choices
    if state == "checking":  # the import reads the file in the language of its preview
        choices = {**choices, "language": get_language().code}
    # A request whose process dies leaves no file that seems to be worked on.
    idle_state = "uploaded" if state == "checking" else "checked"
    values = {"state": state if is_large else idle_state, "choices": choices, "done": 0}
    async with view.site.database.writer() as session:
        unchanged = col(ImportFile.id) == file.id, col(ImportFile.state) == file.state
        change = update(ImportFile).where(*unchanged).values(values).returning(col(ImportFile.id))
        is_started = await session.scalar(change) is not None  # else another request has started it
        if is_started and is_large:
            defer(session, process_file(file.id))
    url = _file_url(request, view, file)
    if is_large or not is_started:
        return RedirectResponse(url, 303)
    file.state = state
    file.choices = choices
    await import_run.process(request, view, file)
    if state == "checking":
        return RedirectResponse(url, 303)
    file = await load_file(request, view)
    if file.state != "imported" or file.result["faults"]:
        return RedirectResponse(url, 303)
    flash(request, summary_of(view, file.result, updates=file.choices["updates"]), undo=undo_url(request, view))
    return RedirectResponse(list_url(request, view), 303)


def _has_workers(request: Request, view: AdminView) -> bool:
    """Return whether the site has a queue of jobs, and runs them."""
    return "jobs" in view.site.database.info and request.app.state.settings.jobs != "off"


async def _was_cancelled(view: AdminView, file: ImportFile) -> bool:
    async with view.site.database.reader(fresh=True) as session:
        return (await were_cancelled(session, [(process_file(file.id), file.created_at)]))[0]


async def _waiting_hint(request: Request, view: AdminView) -> str:
    """Return advice if jobs of imports wait for a worker."""
    if not _has_workers(request, view):
        return ""
    async with view.site.database.reader(fresh=True) as session:
        due = await find_oldest_due(session, [process_file.name])
    is_late = due is not None and utc_now() - due > LATE_AFTER
    return late_hint(request.app.state.settings.jobs) if is_late else ""


def _file_url(request: Request, view: AdminView, file: ImportFile) -> str:
    url = request.url_for("admin:import-file", identity=view.identity, file_id=file.id)
    return str(url.replace(query=URL(list_url(request, view)).query))
