"""Writes a planned import: related rows first, then new and changed rows in batches."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.inlines import ROW_IS_GONE
from opportune.contrib.import_export.import_rows import ImportPlan, PlannedRow
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import loading_options
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

NOT_CREATED = _l("New %(name_plural)s cannot be created from their names: %(refusal)s")
WRITE_BATCH_ROWS = 25
"""Rows of a batch, after which other requests run."""


class ImportWriter:
    """Writes the rows of a plan in one transaction."""

    def __init__(self, plan: ImportPlan, session: AsyncSession) -> None:
        self.plan = plan
        self.session = session
        self.request = plan.request
        self.view = plan.view

    async def write(self) -> list[tuple[PlannedRow, Any]]:
        """Write all rows. Refused rows are added to `faults`, and the caller must roll back."""
        ids = await self._create_related()
        for planned in self.plan.rows:
            planned.values = {name: _replace_placeholders(value, ids) for name, value in planned.values.items()}
        await self._preload()
        pending = [*self.plan.new_rows, *self.plan.changed_rows]
        written: list[tuple[PlannedRow, Any]] = []
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

    async def _create_related(self) -> dict[int, int]:
        """Create the related rows that do not exist yet. Return the ids that replace their placeholders."""
        ids: dict[int, int] = {}
        for new_rows in self.plan.names.new_rows.values():
            names = list(new_rows.placeholders)
            try:
                with translate_database_errors(new_rows.view.table):
                    rows = [(None, new_rows.values[name]) for name in names]
                    created = await new_rows.view.writer(self.session, self.request).save_all(rows)
                    new_rows.created = dict(zip(names, created, strict=True))
            except FieldErrors as refusal:
                plural = new_rows.view.name_plural
                raise ValidationRefused(gettext(NOT_CREATED, name_plural=plural, refusal=refusal)) from None
            ids |= {new_rows.placeholders[name]: row.id for name, row in new_rows.created.items()}
        return ids

    async def _preload(self) -> None:
        """Load all related rows, so that no row of the plan needs a query for them."""
        for name, lookup in self.view.lookups.items():
            values = [value for planned in self.plan.rows if (value := planned.values.get(name))]
            ids = chain.from_iterable(values) if name in self.view.many_to_many else values
            await lookup.preload(self.session, self.request, sorted({*ids}))

    async def _write(self, batch: Sequence[PlannedRow]) -> list[tuple[PlannedRow, Any]]:
        with translate_database_errors(self.view.table):
            async with self.session.begin_nested():
                locked = await self._lock_stored([planned.stored.id for planned in batch if planned.stored])
                rows = [locked[planned.stored.id] if planned.stored else None for planned in batch]
                changes = [(row, planned.values) for row, planned in zip(rows, batch, strict=True)]
                written = await self.view.writer(self.session, self.request).save_all(changes)
                return list(zip(batch, written, strict=True))

    async def _lock_stored(self, ids: Sequence[int]) -> dict[int, Any]:
        """Lock the rows. Raises ValidationRefused if one no longer exists."""
        if not ids:
            return {}
        statement = self.view.list_query(self.request).where(self.view.pk_columns[0].in_(ids))
        loaded = statement.options(*loading_options(self.view.mapper, [*self.view.many_to_many]))
        rows = await self.view.writer(self.session, self.request).lock(loaded, self.view.check_can_edit)
        if len(rows) < len(ids):
            raise ValidationRefused(ROW_IS_GONE)
        return {row.id: row for row in rows}

    async def _write_one(self, planned: PlannedRow, written: list[tuple[PlannedRow, Any]]) -> None:
        try:
            written += await self._write([planned])
        except FieldErrors as refusal:
            labels = ", ".join(str(self.view.labels.get(name, name)) for name in refusal.errors if name)
            self.plan.faults.append((planned.line.number, f"{labels}: {refusal}" if labels else str(refusal)))


def _replace_placeholders(value: Any, ids: Mapping[int, int]) -> Any:
    if isinstance(value, list):
        return [_replace_placeholders(item, ids) for item in value]
    return ids.get(value, value) if type(value) is int else value
