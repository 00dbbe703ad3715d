"""The plan of an import: rows of a file are read into forms, and become new rows, changes or error messages."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, add_refusal, keep_unsent, without_fields
from opportune.admin.forms.foreign_keys import MAX_IDS_PER_QUERY
from opportune.admin.forms.model_fields import NO_CHOICE, FileCells
from opportune.admin.lists.display import format_column
from opportune.admin.lists.row_keys import quote_key
from opportune.admin.views import AdminView, build_form_class, has_changed, unwritable_columns
from opportune.contrib.import_export.cell_formats import read_cell
from opportune.contrib.import_export.export import cell_of, file_value
from opportune.contrib.import_export.names import NamedColumn, NameResolver, creation_form_class, with_names
from opportune.contrib.import_export.table import TableRow
from opportune.contrib.import_export.targets import Target
from opportune.crud.formats import format_value
from opportune.db.models.columns import is_text, natural_key_of, python_type_of
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import loading_options
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.parsing import Source, parse_yes_no
from opportune.schemas.text import shorten
from opportune.web.forms.form_state import ZONE_SUFFIX

MAX_PREVIEW_ROWS = 10
MAX_PREVIEW_CHANGES = 50
"""Changed rows in the preview."""
MAX_PREVIEW_LENGTH = 60
"""Maximum characters of a value in a preview."""
NOT_EDITABLE = _l("This cannot be changed.")
REPEATED = _l("%(label)s: “%(name)s” is already in row %(line)s.")
AMBIGUOUS = _l("%(label)s: %(number)s rows are named “%(name)s”.")
MAY_NOT_ADD = _l("You may not add rows, only change those that exist.")

Progress = Callable[[int], Awaitable[None]]
"""Called with the number of rows that are read."""


@dataclass(frozen=True)
class ImportRow:
    number: int
    """The number of the row in its table."""
    cells: Mapping[str, Any]
    """The cells by the names of their targets."""


def named_rows(rows: Iterable[TableRow], names: Sequence[str]) -> list[ImportRow]:
    """Return the rows of a table, given the name of the target of each column, or an empty text."""
    return [
        ImportRow(row.number, {name: cell for name, cell in zip(names, row.cells, strict=True) if name}) for row in rows
    ]


@dataclass
class PlannedRow:
    """A row of a file and the values to store."""

    line: ImportRow
    values: dict[str, Any]
    texts: dict[str, str]
    """The values as they were understood, by column of the file. Empty for rows that no preview shows."""
    stored: Any = None
    """The row to change; None for a new row."""
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    """Label, old and new value of each change."""


def form_text(column: Any, value: Any) -> str:
    """Return a value as a browser would send it.

    Raises:
        ValueError: The value cannot be stored. The message is for the user.
    """
    text = "" if value is None else str(value)
    if python_type_of(column) is bool:
        return _boolean(text.strip(), column.nullable)
    if isinstance(value, dict | list) or (isinstance(value, bool) and is_text(column)):
        return json.dumps(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("This text has characters that cannot be stored.")
    return text if is_text(column) else text.strip()


def _boolean(word: str, nullable: bool) -> str:
    if nullable and not word:
        return ""
    if word and parse_yes_no(word):
        return "True"
    return "False" if nullable else "false"


def preview_of(value: Any, cell: Any) -> str:
    """Return a value as it was understood, or the cell of the file if the value has no format."""
    if isinstance(value, bool | date):
        return format_value(value)
    return value if isinstance(value, str) else str(cell_of(cell))


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
        self.related = {*self.view.references, *self.view.many_to_many}
        self.as_in_lists = {*self.view.choice_names, *self.view.numeric_columns}
        self.shown_changes = 0

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

    async def read(self, lines: Sequence[ImportRow], progress: Progress | None = None) -> None:
        """Validate each line with the rules of the form and the model."""
        creation_form = await creation_form_class(self.request, self.view)
        edit_form = await build_form_class(self.request, self.view, creating=False)
        await self._read_names(lines)
        stored = await self._load_stored_rows(lines) if self.key else {}
        line_numbers: dict[str, int] = {}
        may_add = await self.view.check_can_create(self.request)
        for position, line in enumerate(lines):
            await asyncio.sleep(0)  # let other requests run
            if progress:
                await progress(position)
            try:
                row = self._find_stored_row(line, stored, line_numbers) if self.key else None
                if row is not None:
                    planned = await self._plan_change(edit_form, line, row)
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

    async def _load_stored_rows(self, lines: Sequence[ImportRow]) -> dict[str, list[Any]]:
        """Return the stored rows by their natural keys in the file."""
        rows_by_name: dict[str, list[Any]] = {}
        names = list(dict.fromkeys(str(line.cells.get(self.key) or "") for line in lines))
        named_columns = [name for name, target in self.columns.items() if target.related and target.related.key]
        options = loading_options(self.view.mapper, [*self.view.many_to_many, *named_columns])
        statement = self.view.list_query(self.request).options(*options)
        for batch in batches_of(names, MAX_IDS_PER_QUERY):
            for row in await self.view.queries.objects(with_names(statement, self.view.model, self.key, batch)):
                rows_by_name.setdefault(str(getattr(row, self.key)), []).append(row)
        return rows_by_name

    def _find_stored_row(self, line: ImportRow, stored: Mapping[str, list[Any]], numbers: dict[str, int]) -> Any:
        name = str(line.cells.get(self.key) or "")
        label = self.view.labels.get(self.key, self.key)
        if numbers.setdefault(name, line.number) != line.number:
            raise ValidationRefused(gettext(REPEATED, label=label, name=name, line=numbers[name]))
        rows = stored.get(name, [])
        if len(rows) > 1:
            raise ValidationRefused(gettext(AMBIGUOUS, label=label, number=len(rows), name=name))
        return rows[0] if rows else None

    def _plan_new_row(self, form_class: type[AdminForm], line: ImportRow) -> PlannedRow:
        values = self._clean(form_class, line, None, None)
        return PlannedRow(line, values, self._texts(line.cells, values) if self._is_first_row else {})

    @property
    def _is_first_row(self) -> bool:
        return len(self.rows) < MAX_PREVIEW_ROWS

    async def _plan_change(self, form: type[AdminForm], line: ImportRow, row: Any) -> PlannedRow:
        if not await self.view.check_can_edit(self.request, row):
            raise ValidationRefused("You may not change this row.")
        unwritable = unwritable_columns(self.request, self.view, row)
        stored = await self.view.get_form_data_for_edit(row)
        values = self._clean(without_fields(form, unwritable), line, row, stored)
        changed = {name: value for name, value in values.items() if has_changed(self.view, name, stored[name], value)}
        is_shown = bool(changed) and self.shown_changes < MAX_PREVIEW_CHANGES
        new_texts = self._texts(line.cells, values) if is_shown or self._is_first_row else {}
        planned = PlannedRow(line, changed, new_texts, row)
        before = {name: await self._stored_value(row, target) for name, target in self.columns.items()}
        stored = {**stored, **{name: before.get(name) for name in unwritable}}
        texts = self._texts(before, stored) if is_shown else {}
        for name, target in self.columns.items():
            if target.field in changed and is_shown:
                planned.changes.append((target.label, texts[name], new_texts[name]))
            elif target.field in unwritable and str(cell_of(before[name])) != str(cell_of(line.cells.get(name))):
                raise ValidationRefused(f"{target.label}: {NOT_EDITABLE}")
        self.shown_changes += is_shown
        return planned

    async def _stored_value(self, row: Any, target: Target) -> Any:
        """Return the stored value as an export writes it: of a related row its natural key, or else its id."""
        if target.related and target.related.key:
            return await file_value(self.view, row, target.name, target.related)
        return await file_value(self.view, row, target.field if target.related else target.name, None)

    def _texts(self, cells: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
        """Return the texts of a preview, by column of the file. Related rows have the text of the file."""
        texts = {}
        for name, target in self.columns.items():
            cell = cells.get(name)
            if target.field in self.related or target.field not in values:
                text = str(cell_of(cell))
            elif values[target.field] is not None and target.field in self.as_in_lists:
                text = str(format_column(self.view, target.field, values[target.field]))
            else:
                text = preview_of(values[target.field], cell)
            texts[name] = shorten(text, MAX_PREVIEW_LENGTH)
        return texts

    def _clean(
        self, form_class: type[AdminForm], line: ImportRow, row: Any, stored: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return the values of a line, validated by the form of a new or stored row.

        Raises:
            ValidationRefused: The form refuses them.
        """
        texts, faults = self._form_texts(line.cells)
        form = form_class(FileCells(texts, Source.MACHINE), data=stored or {})
        keep_unsent(form, texts, is_stored=stored is not None)
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

    def _form_texts(self, cells: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
        """Return the texts for the fields of a form, and messages about cells that cannot be put into one."""
        texts: dict[str, str] = {}
        faults = []
        for name, target in self.columns.items():
            try:
                text = self._form_text(name, target, cells.get(name))
                texts |= {target.field: text, target.field + ZONE_SUFFIX: "UTC"}
            except ValueError as error:
                faults.append(f"{target.label}: {error}")
        return texts, faults

    def _form_text(self, name: str, target: Target, value: Any) -> str:
        if target.related:
            ids = self.names.ids(target.related, target.related.names_in(value))
            return ",".join(map(quote_key, ids)) or ("" if target.related.is_many else NO_CHOICE)
        text = form_text(self.view.mapper.columns[name], value)
        if text and isinstance(value, str) and target.control and (format_ := self.formats.get(name)):
            text = read_cell(target.control, text, format_)
        if name in self.view.references:
            return quote_key(text) if text else NO_CHOICE
        return text


def _valid_names(column: NamedColumn, values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        with suppress(ValueError):  # reported with the row
            yield from column.names_in(value)


def _is_reported(label: str, faults: Sequence[str]) -> bool:
    """Return whether a field already has a message. Such a field is empty, and must not be reported as missing."""
    return any(fault.startswith(f"{label}: ") for fault in faults)
