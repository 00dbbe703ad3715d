"""Parses CSV and JSON files of rows and fills in the admin's forms with them. The format is that of exports."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqladmin.helpers import get_column_python_type
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.fieldsets import keep_unsent, without_fields
from opportune.admin.forms.files import FileField
from opportune.admin.forms.model_fields import NO_CHOICE, FileCells
from opportune.admin.import_export.export import unescape_formula
from opportune.admin.import_export.names import NamedColumn, NameResolver, named_columns
from opportune.admin.protocols import View
from opportune.db.models.columns import is_secret, is_text
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_number
from opportune.i18n.parsing import Source
from opportune.web.forms.forms import ZONE_SUFFIX

YES, NO = ("true", "yes", "y", "1", "on"), ("false", "no", "n", "0", "off", "")
UNREADABLE = _l(
    "Line %(line)s cannot be read: a quotation mark is not closed, or a cell has more than %(limit)s characters."
)


@dataclass(frozen=True)
class ImportRow:
    number: int
    """The line of the CSV file, or the position of the JSON object, counted from 1."""
    cells: Mapping[str, Any]


def read_rows(name: str, text: str, max_rows: int) -> tuple[list[str], list[ImportRow]]:
    """Return the columns and rows of a file.

    Raises:
        ValidationRefused: The content does not match the file type, or the file has too many rows.
    """
    readers = {"csv": _read_csv, "json": _read_json}
    reader = readers.get(name.rpartition(".")[2].lower())
    if reader is None:
        raise ValidationRefused("Please choose a file whose name ends in .csv or .json.")
    header, lines = reader(text)
    if not lines:
        raise ValidationRefused("This file has no rows.")
    if len(lines) > max_rows:
        raise ValidationRefused(
            gettext(
                "This file has %(number)s rows. Import at most %(limit)s rows in one file.",
                number=format_number(len(lines)),
                limit=format_number(max_rows),
            )
        )
    return header, lines


def _read_csv(text: str) -> tuple[list[str], list[ImportRow]]:
    first = text.partition("\n")[0]
    # Spreadsheets use semicolons in countries where numbers contain commas.
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = []
    try:
        header = list(reader.fieldnames or [])
        for row in reader:
            if None in row:
                raise ValidationRefused(
                    gettext("Line %(line)s has more cells than the first line.", line=reader.line_num)
                )
            lines.append(ImportRow(reader.line_num, {name: unescape_formula(cell or "") for name, cell in row.items()}))
    except csv.Error:
        raise ValidationRefused(
            gettext(UNREADABLE, line=reader.line_num, limit=format_number(csv.field_size_limit()))
        ) from None
    if len(set(header)) < len(header):
        raise ValidationRefused("Two columns have the same name.")
    return header, lines


def _read_json(text: str) -> tuple[list[str], list[ImportRow]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationRefused("This file is not valid JSON.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValidationRefused("This file is not a list of objects, such as an export.")
    header = list(dict.fromkeys(name for row in rows for name in row))
    return header, [ImportRow(number, row) for number, row in enumerate(rows, 1)]


async def empty_form(request: Request, view: View) -> AdminForm:
    """Return the form for a new row, with only the fields that the user may set."""
    return without_fields(await view.form_class(request, creating=True), view.unwritable_columns(request, None))()


def fields_to_import(view: View, form: AdminForm) -> dict[str, Any]:
    """Return the form fields that a file can fill in, by column. Secrets and files are left out."""
    fields = view.site.plain_names({field.name: field for field in form}, view.model)
    columns: Any = view.mapper.columns
    return {
        name: field
        for name, field in fields.items()
        if name in columns and not is_secret(name) and not isinstance(field, FileField)
    }


def names_to_import(view: View, form: AdminForm) -> dict[str, NamedColumn]:
    """Return the columns of related rows that a file names by natural key, by the name in the file."""
    return {name: column for name, column in named_columns(view).items() if column.column in form}


def split_header(
    view: View, form: AdminForm, header: Sequence[str], *, may_omit: bool = False
) -> tuple[dict[str, str], list[str]]:
    """Return the imported columns with their form fields, and the exported columns that are ignored.

    Raises:
        ValidationRefused: A column is unknown, or a required one is missing.
    """
    fields, named = fields_to_import(view, form), names_to_import(view, form)
    allowed = {name: field.name for name, field in fields.items()} | {name: named[name].column for name in named}
    not_ignored = {*allowed, *view.locked_names}
    exported = {name for name in view.export_names if name not in not_ignored and not is_secret(name)}
    if unknown := [name for name in header if name not in allowed and name not in exported]:
        names = ", ".join(name[:40] or "(no name)" for name in unknown[:5])
        raise ValidationRefused(
            gettext(
                "These columns cannot be imported: %(names)s. These can: %(allowed)s.",
                names=names,
                allowed=", ".join(allowed),
            )
        )
    columns = {name: allowed[name] for name in header if name in allowed}
    if duplicates := [name for name, field in columns.items() if [*columns.values()].count(field) > 1]:
        raise ValidationRefused(
            gettext(
                "These columns set the same field: %(names)s. Keep one of them.",
                names=", ".join(duplicates),
            )
        )
    aliases = {column.column: name for name, column in named.items()}
    required = [name for name, field in fields.items() if field.flags.required and not field.data]
    missing = [aliases.get(name, name) for name in required if allowed[name] not in columns.values()]
    if missing and not may_omit:
        raise ValidationRefused(gettext("These columns are missing: %(names)s.", names=", ".join(missing)))
    return columns, [name for name in header if name in exported]


@dataclass(frozen=True)
class FormFiller:
    """Fills in forms with the cells of a file."""

    view: View
    columns: Mapping[str, str]
    """The form field of each column of the file."""
    named: Mapping[str, NamedColumn]
    names: NameResolver
    source: Source
    """Format of numbers and dates in the file."""

    def fill(
        self, form_class: type[AdminForm], line: ImportRow, stored: Mapping[str, Any] | None = None
    ) -> tuple[AdminForm, list[str]]:
        """Return the form of a new or stored row, and messages about cells that cannot be put into a form."""
        texts: dict[str, str] = {}
        faults = []
        for name, field in self.columns.items():
            try:
                texts |= {field: self._form_text(name, line.cells.get(name)), field + ZONE_SUFFIX: "UTC"}
            except ValueError as error:
                faults.append(f"{self.view.labels.get(field, name)}: {error}")
        form = form_class(FileCells(texts, self.source), data=stored or {})
        keep_unsent(form, texts, is_stored=stored is not None)
        return form, faults

    def _form_text(self, name: str, value: Any) -> str:
        if (column := self.named.get(name)) is None:
            text = _form_text(self.view.mapper.columns[name], value)
            return text or (NO_CHOICE if name in self.view.references else "")
        ids = self.names.ids(column, column.names_in(value))
        return ",".join(map(str, ids)) or ("" if column.is_many else NO_CHOICE)


def _form_text(column: Any, value: Any) -> str:
    """Return a value as a browser would send it. Raises ValueError with a message for the user."""
    text = "" if value is None else str(value)
    if get_column_python_type(column) is bool:
        return _boolean(text.strip().lower(), column.nullable)
    if isinstance(value, dict | list) or (isinstance(value, bool) and is_text(column)):
        return json.dumps(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("This text has characters that cannot be stored.")
    return text if is_text(column) else text.strip()


def _boolean(word: str, nullable: bool) -> str:
    if nullable and not word:
        return ""
    if word not in (*YES, *NO):
        raise ValueError("Enter yes or no.")
    return "True" if word in YES else "False" if nullable else "false"
