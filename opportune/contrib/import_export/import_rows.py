"""The plan of an import: new rows, changes to stored rows, and the error messages of each row."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, add_refusal
from opportune.admin.forms.fieldsets import without_fields
from opportune.admin.forms.foreign_keys import MAX_IDS_PER_QUERY
from opportune.admin.forms.inlines import ROW_IS_GONE
from opportune.admin.log.diff import differs
from opportune.admin.views import AdminView
from opportune.contrib.import_export.export import cell_of, file_value
from opportune.contrib.import_export.form_filler import FormFiller, preview_of
from opportune.contrib.import_export.mapping import Target, empty_form
from opportune.contrib.import_export.names import NameResolver, with_names
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.columns import natural_key_of
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import loading_options
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

WRITE_BATCH_ROWS = 25
"""Rows of a batch, after which other requests run."""
MAX_PREVIEW_LENGTH = 60
"""Maximum characters of a value in a preview."""
NOT_EDITABLE = _l("This cannot be changed.")
MAY_NOT_ADD = _l("You may not add rows, only change those that exist.")

Progress = Callable[[int], Awaitable[None]]
"""Called with the number of rows that are read."""


@dataclass(frozen=True)
class ImportRow:
    number: int
    """The number of the row in its table."""
    cells: Mapping[str, Any]
    """The cells by the names of their targets."""


@dataclass
class PlannedRow:
    """A row of a file and the values to store."""

    line: ImportRow
    values: dict[str, Any]
    texts: dict[str, str]
    """The values as they were understood, by column of the file."""
    stored: Any = None
    """The row to change; None for a new row."""
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    """Label, old and new value of each change."""


@dataclass
class ImportPlan:
    """All rows of a file, with the changes they make and their error messages."""

    request: Request
    view: AdminView
    columns: Mapping[str, Target]
    """The field of each column of the file, by its name."""
    formats: Mapping[str, str]
    """The format of numbers and dates, by column."""
    updates: bool
    """Whether the import may change stored rows. If not, every row of the file is a new row."""
    rows: list[PlannedRow] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = NameResolver(self.request)

    @property
    def key(self) -> str:
        """The column that identifies stored rows."""
        return natural_key_of(self.view.model) if self.updates else ""

    @property
    def new_rows(self) -> Sequence[PlannedRow]:
        return [row for row in self.rows if row.stored is None]

    @property
    def changed_rows(self) -> Sequence[PlannedRow]:
        return [row for row in self.rows if row.stored is not None and row.values]

    @property
    def new_related_rows(self) -> Iterator[tuple[AdminView, Sequence[str]]]:
        """Rows of other models that the import creates: view and names."""
        yield from ((rows.view, list(rows.placeholders)) for rows in self.names.new_rows.values() if rows.placeholders)

    # Planning

    async def read(self, lines: Sequence[ImportRow], progress: Progress | None = None) -> None:
        """Validate each line with the rules of the form and the model."""
        form = await empty_form(self.request, self.view)
        for name, target in self.columns.items():
            if target.named:
                valid_names = _valid_names(target.named, [line.cells.get(name) for line in lines])
                await self.names.read(target.named, list(dict.fromkeys(valid_names)))
        filler = FormFiller(self.view, self.columns, self.formats, self.names)
        stored = await self._load_stored_rows(lines) if self.key else {}
        line_numbers: dict[str, int] = {}
        may_add = await self.view.check_can_create(self.request)
        for position, line in enumerate(lines):
            await asyncio.sleep(0)  # let other requests run
            if progress:
                await progress(position)
            try:
                row = self._find_stored_row(line, stored, line_numbers) if self.key else None
                if row is None and not may_add:
                    raise ValidationRefused(MAY_NOT_ADD)
                self.rows.append(await self._plan_row(filler, type(form), line, row))
            except FieldErrors as refusal:
                self.faults.append((line.number, str(refusal)))

    async def _load_stored_rows(self, lines: Sequence[ImportRow]) -> dict[str, list[Any]]:
        """Return the stored rows by their natural keys in the file."""
        rows_by_name: dict[str, list[Any]] = {}
        names = list(dict.fromkeys(str(line.cells.get(self.key) or "") for line in lines))
        relations = [
            *self.view.many_to_many,
            *(name for name, target in self.columns.items() if target.named and target.named.key),
        ]
        statement = self.view.list_query(self.request).options(*loading_options(self.view.mapper, relations))
        for batch in batches_of(names, MAX_IDS_PER_QUERY):
            for row in await self.view.fetch_rows(with_names(statement, self.view.model, self.key, batch)):
                rows_by_name.setdefault(str(getattr(row, self.key)), []).append(row)
        return rows_by_name

    def _find_stored_row(self, line: ImportRow, stored: Mapping[str, list[Any]], numbers: dict[str, int]) -> Any:
        name, label = str(line.cells.get(self.key) or ""), self.view.labels.get(self.key, self.key)
        if numbers.setdefault(name, line.number) != line.number:
            raise ValidationRefused(
                gettext(
                    "%(label)s: “%(name)s” is already in row %(line)s.",
                    label=label,
                    name=name,
                    line=numbers[name],
                )
            )
        rows = stored.get(name, [])
        if len(rows) > 1:
            raise ValidationRefused(
                gettext("%(label)s: %(number)s rows are named “%(name)s”.", label=label, number=len(rows), name=name)
            )
        return rows[0] if rows else None

    async def _plan_row(self, filler: FormFiller, form_class: type[AdminForm], line: ImportRow, row: Any) -> PlannedRow:
        if row is None:
            values = self._clean(filler, form_class, line, None, None)
            return PlannedRow(line, values, self._texts(line.cells, values))
        if not await self.view.check_can_edit(self.request, row):
            raise ValidationRefused("You may not change this row.")
        form_class = await self.view.form_class(self.request, creating=False)
        unwritable = self.view.unwritable_columns(self.request, row)
        stored = await self.view.get_form_data_for_edit(row)
        values = self._clean(filler, without_fields(form_class, unwritable), line, row, stored)
        changed = {name: value for name, value in values.items() if differs(stored[name], value)}
        planned = PlannedRow(line, changed, self._texts(line.cells, values), row)
        before = {name: await self._stored_value(row, target) for name, target in self.columns.items()}
        texts = self._texts(before, {**stored, **{name: before.get(name) for name in unwritable}})
        for name, target in self.columns.items():
            if target.field in changed:
                planned.changes.append((target.label, texts[name], planned.texts[name]))
            elif target.field in unwritable and str(cell_of(before[name])) != str(cell_of(line.cells.get(name))):
                raise ValidationRefused(f"{target.label}: {NOT_EDITABLE}")
        return planned

    async def _stored_value(self, row: Any, target: Target) -> Any:
        """Return the stored value as an export writes it."""
        named = target.named if target.named and target.named.key else None
        return await file_value(self.view, row, target.name if named or not target.named else target.field, named)

    def _texts(self, cells: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
        """Return the texts of a preview, by column of the file. Related rows have the text of the file."""
        related = {*self.view.references, *self.view.many_to_many}
        texts = {}
        for name, target in self.columns.items():
            has_value = target.field in values and target.field not in related
            text = preview_of(values[target.field], cells.get(name)) if has_value else str(cell_of(cells.get(name)))
            texts[name] = text if len(text) <= MAX_PREVIEW_LENGTH else f"{text[: MAX_PREVIEW_LENGTH - 1]}…"
        return texts

    def _clean(
        self, filler: FormFiller, form_class: type[AdminForm], line: ImportRow, row: Any, data: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        form, faults = filler.fill(form_class, line.cells, data)
        try:
            values = self.view.clean(form, row)
        except FieldErrors as refusal:
            form_message = add_refusal(form, refusal)
            fields = [field for field in form if field.errors and not _is_reported(field.label.text, faults)]
            messages = [f"{field.label.text}: {' '.join(map(str, field.errors))}" for field in fields]
            raise ValidationRefused(" ".join([*faults, *messages] or [form_message])) from None
        if faults:
            raise ValidationRefused(" ".join(faults))
        return values

    # Storing

    async def store(self, session: AsyncSession) -> list[tuple[PlannedRow, Any]]:
        """Write all rows. Refused rows are added to `faults`, and the caller must roll back."""
        ids = await self._create_related(session)
        for planned in self.rows:
            planned.values = {name: _replace_placeholders(value, ids) for name, value in planned.values.items()}
        await self._preload(session)
        pending = [*self.new_rows, *self.changed_rows]
        written: list[tuple[PlannedRow, Any]] = []
        for batch in batches_of(pending, WRITE_BATCH_ROWS):
            await asyncio.sleep(0)  # let other requests run
            try:
                written += await self._write(session, batch)
            except FieldErrors:
                for lookup in self.view.lookups.values():
                    lookup.forget(session)  # the rollback may have removed these rows
                for planned in batch:
                    await self._write_one(session, planned, written)
        return written

    async def _create_related(self, session: AsyncSession) -> dict[int, int]:
        """Create the related rows that do not exist yet. Return the ids that replace their placeholders."""
        ids: dict[int, int] = {}
        for new_rows in self.names.new_rows.values():
            names = list(new_rows.placeholders)
            try:
                with translate_database_errors(new_rows.view.table):
                    rows = [(None, new_rows.values[name]) for name in names]
                    created = await new_rows.view.row_writer(session, self.request).save_all(rows)
                    new_rows.created = dict(zip(names, created, strict=True))
            except FieldErrors as refusal:
                raise ValidationRefused(
                    gettext(
                        "New %(name_plural)s cannot be created from their names: %(refusal)s",
                        name_plural=new_rows.view.name_plural,
                        refusal=refusal,
                    )
                ) from None
            ids |= {new_rows.placeholders[name]: row.id for name, row in new_rows.created.items()}
        return ids

    async def _preload(self, session: AsyncSession) -> None:
        for name, lookup in self.view.lookups.items():
            if name in self.view.references or name in self.view.many_to_many:
                values = [planned.values.get(name) for planned in self.rows]
                flat: set[Any] = {item for value in values for item in (value if isinstance(value, list) else [value])}
                await lookup.preload(session, self.request, sorted(flat - {None}))

    async def _write(self, session: AsyncSession, batch: Sequence[PlannedRow]) -> list[tuple[PlannedRow, Any]]:
        with translate_database_errors(self.view.table):
            async with session.begin_nested():
                locked = await self._lock_stored(session, [planned.stored.id for planned in batch if planned.stored])
                rows = [locked[planned.stored.id] if planned.stored else None for planned in batch]
                changes = [(row, planned.values) for row, planned in zip(rows, batch, strict=True)]
                written = await self.view.row_writer(session, self.request).save_all(changes)
                return list(zip(batch, written, strict=True))

    async def _lock_stored(self, session: AsyncSession, ids: Sequence[int]) -> dict[int, Any]:
        """Lock the rows. Raises ValidationRefused if one no longer exists."""
        if not ids:
            return {}
        statement = self.view.list_query(self.request).where(self.view.pk_columns[0].in_(ids))
        loaded = statement.options(*loading_options(self.view.mapper, [*self.view.many_to_many]))
        rows = await self.view.row_writer(session, self.request).lock(loaded, self.view.check_can_edit)
        if len(rows) < len(ids):
            raise ValidationRefused(ROW_IS_GONE)
        return {row.id: row for row in rows}

    async def _write_one(
        self, session: AsyncSession, planned: PlannedRow, written: list[tuple[PlannedRow, Any]]
    ) -> None:
        try:
            written += await self._write(session, [planned])
        except FieldErrors as refusal:
            labels = ", ".join(str(self.view.labels.get(name, name)) for name in refusal.errors if name)
            self.faults.append((planned.line.number, f"{labels}: {refusal}" if labels else str(refusal)))


def _valid_names(column: Any, values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        try:
            yield from column.names_in(value)
        except ValueError:
            continue  # reported with the row


def _replace_placeholders(value: Any, ids: Mapping[int, int]) -> Any:
    if isinstance(value, list):
        return [_replace_placeholders(item, ids) for item in value]
    return ids.get(value, value) if type(value) is int else value


def _is_reported(label: str, faults: Sequence[str]) -> bool:
    """Return whether a field already has a message. Such a field is empty, and must not be reported as missing."""
    return any(fault.startswith(f"{label}: ") for fault in faults)
