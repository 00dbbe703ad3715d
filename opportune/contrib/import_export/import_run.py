"""Checks and imports an uploaded file: in the request, or in a job if the file has many rows."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from time import monotonic
from typing import Any

from sqlalchemy import inspect, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.admin.authorization import may_edit_any
from opportune.admin.editing.undo import recorded_range
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.inlines import ROW_IS_GONE
from opportune.admin.lists.actions import describe_rows
from opportune.admin.log import audit
from opportune.admin.models import ImportFile
from opportune.admin.row_writer import Change
from opportune.admin.views import AdminView
from opportune.contrib.import_export.import_rows import ImportPlan, PlannedRow
from opportune.contrib.import_export.jobs import BUSY_STATES
from opportune.contrib.import_export.name_resolver import NewRows
from opportune.contrib.import_export.preview import MAX_PREVIEW_CHANGES, MAX_PREVIEW_ROWS
from opportune.contrib.import_export.table import Table, named_rows
from opportune.contrib.import_export.targets import find_choice_fault, find_targets, require_targets
from opportune.db import Database
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.columns import natural_key_of
from opportune.db.models.labels import title_of
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import loading_options
from opportune.errors import FieldErrors
from opportune.i18n import gettext, lower_name
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.directions import isolate
from opportune.i18n.languages import use_language
from opportune.plurals import pluralize

PROGRESS_SECONDS = 1.0
"""Time between two reports of the progress."""
NOT_CREATED = _l("New %(name_plural)s cannot be created from their names: %(refusal)s")
WRITE_BATCH_ROWS = 25
"""Rows of a batch, after which other requests run."""


async def process(request: Request, view: AdminView, file: ImportFile) -> None:
    """Check the file, or import it if its state is `importing`. The outcome is its new state and result."""
    try:
        with use_language(file.choices["language"]):
            await _process(request, view, file)
    except FieldErrors as refusal:
        await save_outcome(view.site.database, file, {"error": str(refusal)})


async def may_write(request: Request, view: AdminView) -> bool:
    """Return whether the user may add or change rows."""
    return bool(await view.check_can_create(request)) or may_edit_any(request, view)


async def save_outcome(database: Database, file: ImportFile, result: Mapping[str, Any]) -> None:
    """Store the result of a check. It has no effect after an import, such as one whose hooks fail."""
    async with database.writer() as session:
        await session.execute(_update(file).values(state="checked", result=result))


async def store_failure(database: Database, file_id: int, message: str) -> None:
    """Store why a file was not checked or imported, unless its job has stored an outcome."""
    async with database.reader(fresh=True) as session:
        file = await session.get(ImportFile, file_id)
    if file and file.state in BUSY_STATES:
        with use_language(file.choices["language"]):
            await save_outcome(database, file, {"error": gettext(message)})


async def _process(request: Request, view: AdminView, file: ImportFile) -> None:
    # The account may have been deactivated or demoted while the job waited.
    is_staff = request.state.user.is_active and request.state.user.may_enter_admin
    if not (is_staff and await view.check_can_import(request) and await may_write(request, view)):
        raise ValidationRefused(_l("You may not import these rows."))
    table = await asyncio.to_thread(Table.load, file.content)
    skipped = faulty_rows(file) if file.state == "importing" else {}
    rows = [row for row in table.rows if row.number not in skipped]
    plan = await plan_import(request, view, table, file.choices)
    await plan.read(named_rows(rows, file.choices["columns"]), _ProgressReport(view, file).save)
    async with view.site.database.writer() as session:
        written = await ImportWriter(plan, session).write()
        can_import = file.state == "importing" and not plan.faults
        is_imported = can_import and await _finish(session, plan, file, table, skipped)
        if not is_imported:
            await session.rollback()
    if is_imported:
        await _run_hooks(plan, written)
    else:
        await save_outcome(view.site.database, file, _describe(plan, table, {**skipped, **dict(plan.faults)}))


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


async def _run_hooks(plan: ImportPlan, changes: Sequence[Change]) -> None:
    """Call SQLAdmin's hooks that run after the commit."""
    for new_rows in plan.names.new_rows.values():
        for change in new_rows.created:
            await change.run_hook(new_rows.view, plan.request)
    for change in changes:
        await change.run_hook(plan.view, plan.request)


async def plan_import(request: Request, view: AdminView, table: Table, choices: Mapping[str, Any]) -> ImportPlan:
    """Return the plan for the fields that the user has chosen.

    Raises:
        ValidationRefused: A field is missing, or two columns have the same one.
    """
    targets = await find_targets(request, view)
    names = require_targets(choices["columns"], table, targets)
    if fault := find_choice_fault(table, names, targets, natural_key_of(view.model), updates=choices["updates"]):
        raise ValidationRefused(fault)
    formats = {name: format_ for name, format_ in zip(names, choices["formats"], strict=False) if name and format_}
    columns = {name: targets[name] for name in names if name}
    return ImportPlan(request, view, columns, formats, updates=choices["updates"])


async def _finish(
    session: AsyncSession, plan: ImportPlan, file: ImportFile, table: Table, skipped: Mapping[int, str]
) -> bool:
    """Write the log and the result in the transaction of the rows. Only skipped rows are kept, to be corrected.

    Return False if another request, or another attempt of the job, has imported the file.
    """
    title = f"{pluralize(len(plan.new_rows) + len(plan.changed_rows), 'row')} of {file.name}"
    audit.record(session, plan.request, "import", plan.view.identity, title=title)
    await session.flush()
    remaining = Table(table.type, table.header, [row for row in table.rows if row.number in skipped])
    result = {**_describe(plan, table, skipped), "entries": recorded_range(plan.request, plan.view)}
    content = remaining.dump() if skipped else b""
    imported = _update(file).values(state="imported", result=result, content=content)
    return await session.scalar(imported.returning(col(ImportFile.id))) is not None


def _update(file: ImportFile) -> Any:
    return update(ImportFile).where(col(ImportFile.id) == file.id, col(ImportFile.state) != "imported")


def faulty_rows(file: ImportFile) -> dict[int, str]:
    """Return the error messages of the last check, by number of the row."""
    return dict(file.result.get("faults", ()))


def _describe(plan: ImportPlan, table: Table, faults: Mapping[int, str]) -> dict[str, Any]:
    """Return counts, first rows and errors as JSON."""
    new = len(plan.new_rows)
    changed = len(plan.changed_rows)
    return {
        "error": "",
        "valid": len(table.rows) - len(faults),
        "new": new,
        "changed": changed,
        "unchanged": len(plan.rows) - new - changed,
        "related": [_describe_related(rows) for rows in plan.names.new_rows.values() if rows.placeholders],
        "columns": [target.label for target in plan.columns.values()],
        "rows": preview_rows(plan),
        "changes": [[title_of(row.stored), row.changes] for row in plan.changed_rows[:MAX_PREVIEW_CHANGES]],
        "faults": sorted(faults.items()),
    }


def _describe_related(rows: NewRows) -> Sequence[Any]:
    names = list(rows.placeholders)
    return describe_rows(rows.view, len(names)), names[:20], len(names)


def preview_rows(plan: ImportPlan) -> Sequence[tuple[int, list[str]]]:
    return [(row.line.number, [*row.texts]) for row in plan.rows[:MAX_PREVIEW_ROWS]]


class ImportWriter:
    """Writes the rows of a plan in one transaction."""

    def __init__(self, plan: ImportPlan, session: AsyncSession) -> None:
        self.plan = plan
        self.session = session
        self.request = plan.request
        self.view = plan.view

    async def write(self) -> list[Change]:
        """Write all rows. Refused rows are added to `faults`, and the caller must roll back."""
        ids = await self._create_related()
        for planned in self.plan.rows:
            planned.values = {name: _replace_placeholders(value, ids) for name, value in planned.values.items()}
        await self._preload()
        pending = [*self.plan.new_rows, *self.plan.changed_rows]
        written: list[Change] = []
        for batch in batches_of(pending, WRITE_BATCH_ROWS):
            await asyncio.sleep(0)  # let other requests run
            try:
                written += await self._write(batch)
            except FieldErrors:
                for lookup in self.view.lookups.values():
                    lookup.forget(self.session)  # the rollback may have removed these rows
                for planned in batch:
                    await self._write_one(planned, written)
        return written

    async def _create_related(self) -> dict[int, Any]:
        """Create the related rows that do not exist yet. Return the ids that replace their placeholders."""
        ids: dict[int, Any] = {}
        for new_rows in self.plan.names.new_rows.values():
            try:
                with translate_database_errors(new_rows.view.table):
                    rows = [(None, new_rows.values[name]) for name in new_rows.placeholders]
                    new_rows.created = await new_rows.view.writer(self.session, self.request).save_all(rows)
            except FieldErrors as refusal:
                plural = lower_name(new_rows.view.name_plural)
                raise ValidationRefused(gettext(NOT_CREATED, name_plural=plural, refusal=refusal)) from None
            row_ids = [inspect(change.row).identity[0] for change in new_rows.created]
            ids |= dict(zip(new_rows.placeholders.values(), row_ids, strict=True))
        return ids

    async def _preload(self) -> None:
        """Load all related rows, so that no row of the plan needs a query for them."""
        for name, lookup in self.view.lookups.items():
            values = [value for planned in self.plan.rows if (value := planned.values.get(name))]
            ids = chain.from_iterable(values) if name in self.view.many_to_many else values
            await lookup.preload(self.session, self.request, sorted({*ids}))

    async def _write(self, batch: Sequence[PlannedRow]) -> list[Change]:
        with translate_database_errors(self.view.table):
            async with self.session.begin_nested():
                keys = [inspect(planned.stored).identity if planned.stored else None for planned in batch]
                locked = await self._lock_stored([key for key in keys if key])
                rows = [locked[key] if key else None for key in keys]
                values = [(row, planned.values) for row, planned in zip(rows, batch, strict=True)]
                return await self.view.writer(self.session, self.request).save_all(values)

    async def _lock_stored(self, ids: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Any]:
        """Lock the rows.

        Raises:
            ValidationRefused: One of them no longer exists.
        """
        if not ids:
            return {}
        statement = self.view.list_query(self.request).where(tuple_(*self.view.pk_columns).in_(ids))
        loaded = statement.options(*loading_options(self.view.mapper, [*self.view.many_to_many]))
        rows = await self.view.writer(self.session, self.request).lock(loaded, self.view.check_can_edit)
        if len(rows) < len(ids):
            raise ValidationRefused(ROW_IS_GONE)
        return {inspect(row).identity: row for row in rows}

    async def _write_one(self, planned: PlannedRow, written: list[Change]) -> None:
        try:
            written += await self._write([planned])
        except FieldErrors as refusal:
            self.plan.rows.remove(planned)
            message = gettext(str(refusal))
            labels = ", ".join(isolate(str(self.view.labels.get(name, name))) for name in refusal.errors if name)
            self.plan.faults.append((planned.line.number, f"{labels}: {message}" if labels else message))


def _replace_placeholders(value: Any, ids: Mapping[int, Any]) -> Any:
    if isinstance(value, list):
        return [_replace_placeholders(item, ids) for item in value]
    return ids.get(value, value) if type(value) is int else value
