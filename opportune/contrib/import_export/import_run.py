"""Checks and imports an uploaded file: in the request, or in a job if the file has many rows."""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.admin.authorization import may_edit_any
from opportune.admin.editing.undo import recorded_range
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.actions import describe_rows
from opportune.admin.log import audit
from opportune.admin.models import ImportFile
from opportune.admin.views import AdminView
from opportune.contrib.import_export.import_rows import ImportPlan, ImportRow, PlannedRow
from opportune.contrib.import_export.import_writer import ImportWriter
from opportune.contrib.import_export.mapping import check_targets, find_targets, valid_targets
from opportune.contrib.import_export.table import Table, named_cells
from opportune.db.models.columns import natural_key_of, title_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.languages import use_language

MAX_PREVIEW_ROWS = 10
MAX_PREVIEW_CHANGES = 50
"""Changed rows in the preview."""
PROGRESS_SECONDS = 1.0
"""Time between two reports of the progress."""


async def process(request: Request, view: AdminView, file: ImportFile) -> None:
    """Check the file, or import it if its state is `importing`. The outcome is its new state and result."""
    try:
        with use_language(file.choices["language"]):
            await _process(request, view, file)
    except FieldErrors as refusal:
        await save_outcome(view, file, {"error": str(refusal)})


async def may_write(request: Request, view: AdminView) -> bool:
    """Return whether the user may add or change rows."""
    return bool(await view.check_can_create(request)) or may_edit_any(request, view)


async def save_outcome(view: AdminView, file: ImportFile, result: Mapping[str, Any]) -> None:
    """Store the result of a file that was not imported."""
    async with view.site.database.writer() as session:
        await session.execute(_update(file).values(state="checked", result=result))


async def _process(request: Request, view: AdminView, file: ImportFile) -> None:
    if not (await view.check_can_import(request) and await may_write(request, view)):
        raise ValidationRefused(_l("You may not import these rows."))
    table = await asyncio.to_thread(Table.load, file.content)
    skipped = faulty_rows(file) if file.state == "importing" else {}
    rows = [row for row in table.rows if row.number not in skipped]
    plan = await plan_import(request, view, table, file.choices)
    names = file.choices["columns"]
    lines = [ImportRow(row.number, named_cells(row, names)) for row in rows]
    await plan.read(lines, _ProgressReport(view, file).save)
    async with view.site.database.writer() as session:
        written = await ImportWriter(plan, session).write()
        is_imported = file.state == "importing" and not plan.faults
        if is_imported:
            await _finish(session, request, plan, file, table, skipped)
        else:
            await session.rollback()
    if is_imported:
        await _run_hooks(request, plan, written)
    else:
        await save_outcome(view, file, _describe(plan, table, {**skipped, **dict(plan.faults)}))


class _ProgressReport:
    """Stores the number of checked rows, at most once a second."""

    def __init__(self, view: AdminView, file: ImportFile) -> None:
        self.view = view
        self.file = file
        self.saved_at = monotonic()

    async def save(self, done: int) -> None:
        if monotonic() - self.saved_at > PROGRESS_SECONDS:
            self.saved_at = monotonic()
            async with self.view.site.database.writer() as session:
                await session.execute(_update(self.file).values(done=done))


async def _run_hooks(request: Request, plan: ImportPlan, written: Sequence[tuple[PlannedRow, Any]]) -> None:
    """Call SQLAdmin's hooks that run after the commit."""
    for new_rows in plan.names.new_rows.values():
        for name, row in new_rows.created.items():
            await new_rows.view.after_model_change(new_rows.values[name], row, True, request)
    for planned, row in written:
        await plan.view.after_model_change(planned.values, row, planned.stored is None, request)


async def plan_import(request: Request, view: AdminView, table: Table, choices: Mapping[str, Any]) -> ImportPlan:
    """Return the plan for the fields that the user has chosen.

    Raises:
        ValidationRefused: A field is missing, or two columns have the same one.
    """
    targets = await find_targets(request, view)
    names = valid_targets(choices["columns"], table, targets)
    key = natural_key_of(view.model)
    if fault := check_targets(table, names, targets, key, updates=choices["updates"]):
        raise ValidationRefused(fault)
    formats = {name: format_ for name, format_ in zip(names, choices["formats"], strict=False) if name and format_}
    return ImportPlan(request, view, {name: targets[name] for name in names if name}, formats, choices["updates"])


async def _finish(
    session: AsyncSession,
    request: Request,
    plan: ImportPlan,
    file: ImportFile,
    table: Table,
    skipped: Mapping[int, str],
) -> None:
    """Write the log and the result in the transaction of the rows. Only skipped rows are kept, to be corrected."""
    number = len(plan.new_rows) + len(plan.changed_rows)
    audit.record(session, request, "import", plan.view.identity, title=f"{number:,} rows of {file.name}")
    await session.flush()
    remaining = Table(table.type, table.header, [row for row in table.rows if row.number in skipped])
    result = {**_describe(plan, table, skipped), "entries": recorded_range(request, plan.view)}
    content = remaining.dump() if skipped else b""
    await session.execute(_update(file).values(state="imported", result=result, content=content))


def _update(file: ImportFile) -> Any:
    return update(ImportFile).where(col(ImportFile.id) == file.id)


def faulty_rows(file: ImportFile) -> dict[int, str]:
    """Return the error messages of the last check, by number of the row."""
    return dict(file.result.get("faults", ()))


def _describe(plan: ImportPlan, table: Table, faults: Mapping[int, str]) -> dict[str, Any]:
    """Return counts, first rows and errors as JSON."""
    new, changed = len(plan.new_rows), len(plan.changed_rows)
    return {
        "error": "",
        "valid": len(table.rows) - len(faults),
        "new": new,
        "changed": changed,
        "unchanged": len(plan.rows) - new - changed,
        "related": [[describe_rows(view, len(names)), names[:20], len(names)] for view, names in plan.new_related_rows],
        "columns": [target.label for target in plan.columns.values()],
        "rows": preview_rows(plan),
        "changes": [[title_of(row.stored), row.changes] for row in plan.changed_rows[:MAX_PREVIEW_CHANGES]],
        "faults": sorted(faults.items()),
    }


def preview_rows(plan: ImportPlan) -> Sequence[tuple[int, list[str]]]:
    return [(row.line.number, [*row.texts.values()]) for row in plan.rows[:MAX_PREVIEW_ROWS]]
