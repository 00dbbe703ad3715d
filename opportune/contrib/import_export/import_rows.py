"""The plan of an import: rows of a file are read into forms, and become new rows, changes or error messages."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, add_refusal, keep_unsent, without_fields
from opportune.admin.forms.foreign_keys import MAX_IDS_PER_QUERY
from opportune.admin.forms.model_fields import FileCells
from opportune.admin.views import AdminView, build_form_class, has_changed, unwritable_columns
from opportune.contrib.import_export import preview
from opportune.contrib.import_export.cell_texts import CellTexts
from opportune.contrib.import_export.cells import cell_of, xlsx_value
from opportune.contrib.import_export.export import file_value
from opportune.contrib.import_export.name_resolver import NameResolver, creation_form_class
from opportune.contrib.import_export.named_columns import NamedColumn, key_text, with_names
from opportune.contrib.import_export.table import ImportRow
from opportune.contrib.import_export.targets import Target
from opportune.contrib.import_export.workbooks import excel_value, read_value
from opportune.db.models.columns import natural_key_of
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import loading_options
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.directions import isolate
from opportune.i18n.parsing import Source

NOT_EDITABLE = _l("This cannot be changed.")
MAY_NOT_ADD = _l("You may not add rows, only change those that exist.")

Progress = Callable[[int], Awaitable[None]]
"""Called with the number of rows that are read."""
REPEATED = _l("%(label)s: “%(name)s” is already in row %(line)s.")
AMBIGUOUS = _l("%(label)s: %(number)s rows are named “%(name)s”.")


@dataclass
class PlannedRow:
    """A row of a file and the values to store."""

    line: ImportRow
    values: dict[str, Any]
    texts: Sequence[str] = ()
    """The values as they were understood. Empty for rows that no preview shows."""
    stored: Any = None
    """The row to change; None for a new row."""
    changes: Sequence[preview.ChangedText] = ()
    """Empty for rows that no preview shows."""


class ImportPlan:
    """All rows of a file, with the changes they make and their error messages."""

    def __init__(
        self,
        request: Request,
        view: AdminView,
        columns: Mapping[str, Target],
        formats: Mapping[str, str],
        *,
        updates: bool,
    ) -> None:
        """Create a plan without rows.

        Args:
            request: The request of the user.
            view: The view of the model.
            columns: The field of each column of the file, by its name.
            formats: The format of numbers and dates, by column.
            updates: Whether the import may change stored rows. If not, every row of the file is a new row.
        """
        self.request = request
        self.view = view
        self.columns = columns
        self.names = NameResolver(request)
        self.rows: list[PlannedRow] = []
        self.faults: list[tuple[int, str]] = []
        self._key = natural_key_of(view.model) if updates else ""
        """The column that identifies stored rows."""
        self._cell_texts = CellTexts(view, columns, formats, self.names)
        self._preview = preview.PreviewTexts(view, columns)
        self._shown_changes = 0

    @property
    def new_rows(self) -> Sequence[PlannedRow]:
        return [row for row in self.rows if row.stored is None]

    @property
    def changed_rows(self) -> Sequence[PlannedRow]:
        return [row for row in self.rows if row.stored is not None and row.values]

    async def read(self, lines: Sequence[ImportRow], progress: Progress | None = None) -> None:
        """Validate each line with the rules of the form and the model."""
        creation_form = await creation_form_class(self.request, self.view)
        edit_form = await build_form_class(self.request, self.view, creating=False)
        await self._read_names(lines)
        stored_rows = None
        if self._key:
            keys = {line.number: self._cell_texts.natural_key(self._key, line.cells.get(self._key)) for line in lines}
            stored_rows = await load_stored_rows(self.request, self.view, self.columns, self._key, keys)
        may_add = await self.view.check_can_create(self.request)
        for position, line in enumerate(lines):
            await asyncio.sleep(0)  # let other requests run
            if progress:
                await progress(position)
            try:
                stored = stored_rows.find(line.number) if stored_rows else None
                if stored is not None:
                    planned = await self._plan_change(edit_form, line, stored)
                elif may_add:
                    planned = self._plan_new_row(creation_form, line)
                else:
                    raise ValidationRefused(MAY_NOT_ADD)
                self.rows.append(planned)
            except FieldErrors as refusal:
                self.faults.append((line.number, str(refusal)))

    async def _read_names(self, lines: Sequence[ImportRow]) -> None:
        """Find all related rows that the file names."""
        for name, target in self.columns.items():
            if target.related:
                valid_names = _valid_names(target.related, [line.cells.get(name) for line in lines])
                await self.names.read(target.related, list(dict.fromkeys(valid_names)))

    def _plan_new_row(self, form_class: type[AdminForm], line: ImportRow) -> PlannedRow:
        values = self._clean(form_class, line, None, None)
        return PlannedRow(line, values, self._row_texts(preview.PreviewRow(line.cells, values)))

    async def _plan_change(self, form_class: type[AdminForm], line: ImportRow, row: Any) -> PlannedRow:
        if not await self.view.check_can_edit(self.request, row):
            raise ValidationRefused(_l("You may not change this row."))
        unwritable = unwritable_columns(self.request, self.view, row)
        stored = await self.view.get_form_data_for_edit(row)
        values = self._clean(without_fields(form_class, unwritable), line, row, stored)
        stored_cells = {name: await self._stored_cell(row, target) for name, target in self.columns.items()}
        # A cell as in an export to Excel is unchanged, though the export may have cut its value.
        exported = {name: read_value(excel_value(xlsx_value(cell))) for name, cell in stored_cells.items()}
        cells = {name: cell for name, cell in line.cells.items() if cell != exported[name]}
        self._require_same(unwritable, cells, stored_cells)
        edited = {name: value for name, value in values.items() if name in cells or name not in line.cells}
        changed = {name: value for name, value in edited.items() if has_changed(self.view, name, stored[name], value)}
        new = preview.PreviewRow(line.cells, values)
        planned = PlannedRow(line, changed, self._row_texts(new), row)
        if changed and self._shown_changes < preview.MAX_PREVIEW_CHANGES:
            self._shown_changes += 1
            planned.changes = self._preview.of_changes(changed, preview.PreviewRow(stored_cells, stored), new)
        return planned

    def _row_texts(self, row: preview.PreviewRow) -> Sequence[str]:
        return self._preview.of_row(row) if len(self.rows) < preview.MAX_PREVIEW_ROWS else ()

    def _require_same(self, fields: Collection[str], cells: Mapping[str, Any], stored_cells: Mapping[str, Any]) -> None:
        """Refuse a line that changes one of these fields.

        Raises:
            ValidationRefused: It does.
        """
        for name, cell in cells.items():
            if self.columns[name].field in fields and str(cell_of(stored_cells[name])) != str(cell_of(cell)):
                raise ValidationRefused(f"{isolate(self.columns[name].label)}: {NOT_EDITABLE}")

    async def _stored_cell(self, row: Any, target: Target) -> Any:
        """Return the stored value as an export writes it: of a related row its natural key, or else its id."""
        if target.related and target.related.key:
            return await file_value(self.view, row, target.name, target.related)
        return await file_value(self.view, row, target.field if target.related else target.name, None)

    def _clean(
        self, form_class: type[AdminForm], line: ImportRow, row: Any, stored: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return the values of a line, validated by the form of a new or stored row.

        Raises:
            ValidationRefused: The form refuses them.
        """
        read = self._cell_texts.by_field(line.cells)
        form = form_class(FileCells(read.texts, Source.MACHINE), data=stored or {})
        keep_unsent(form, read.texts, is_stored=stored is not None)
        try:
            values = self.view.clean(form, row)
        except FieldErrors as refusal:
            form_message = add_refusal(form, refusal)
            # The field of a cell with a fault is empty, and must not also be reported as missing.
            fields = [field for field in form if field.errors and field.name not in read.faults]
            messages = [f"{isolate(field.label.text)}: {' '.join(map(str, field.errors))}" for field in fields]
            raise ValidationRefused(" ".join([*read.faults.values(), *messages] or [form_message])) from None
        if read.faults:
            raise ValidationRefused(" ".join(read.faults.values()))
        return values


def _valid_names(column: NamedColumn, values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        with suppress(ValueError):  # reported with the row
            yield from column.names_in(value)


@dataclass
class StoredRows:
    """Finds the stored row of a line by the natural key of the model."""

    label: str
    """Label of the natural key."""
    names: Mapping[int, str]
    """The natural keys by the numbers of the lines."""
    rows: Mapping[str, Sequence[Any]]
    """The stored rows by their natural keys."""

    @cached_property
    def _first_lines(self) -> dict[str, int]:
        return {name: number for number, name in reversed([*self.names.items()])}

    def find(self, line: int) -> Any:
        """Return the stored row; None if the line is a new row.

        Raises:
            ValidationRefused: An earlier line or several rows have this key.
        """
        name = self.names[line]
        first_line = self._first_lines[name]
        if first_line != line:
            raise ValidationRefused(gettext(REPEATED, label=self.label, name=name, line=first_line))
        rows = self.rows.get(name, ())
        if len(rows) > 1:
            raise ValidationRefused(gettext(AMBIGUOUS, label=self.label, number=len(rows), name=name))
        return rows[0] if rows else None


async def load_stored_rows(
    request: Request, view: AdminView, columns: Mapping[str, Target], key: str, names: Mapping[int, str]
) -> StoredRows:
    """Load the rows with these natural keys, which are given by the numbers of their lines, in a few queries."""
    named_columns = [name for name, target in columns.items() if target.related and target.related.key]
    options = loading_options(view.mapper, [*view.many_to_many, *named_columns])
    statement = view.list_query(request).options(*options)
    rows: dict[str, list[Any]] = {}
    for batch in batches_of(list(dict.fromkeys(names.values())), MAX_IDS_PER_QUERY):
        for row in await view.queries.objects(with_names(statement, view.model, key, batch)):
            rows.setdefault(key_text(getattr(row, key)), []).append(row)
    return StoredRows(view.labels.get(key, key), names, rows)
