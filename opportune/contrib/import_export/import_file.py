"""Fills in the admin's forms with the rows of a CSV or JSON file. The format is that of exports.

CSV files of spreadsheets have several separators, and empty rows and columns.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.fieldsets import keep_unsent, without_fields
from opportune.admin.forms.files import FileField
from opportune.admin.forms.model_fields import NO_CHOICE, FileCells
from opportune.admin.views import AdminView
from opportune.contrib.import_export.export import cell_of, unescape_formula
from opportune.contrib.import_export.names import NamedColumn, NameResolver, named_columns
from opportune.db.models.columns import is_secret, is_text, python_type_of
from opportune.i18n import get_language, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_day, format_number, is_english, localize_number
from opportune.i18n.parsing import Source, parse_yes_no
from opportune.web.forms.controls import Control, to_machine_format
from opportune.web.forms.forms import ZONE_SUFFIX
from opportune.web.time_zone import format_datetime

UNREADABLE = _l(
    "Line %(line)s cannot be read: a quotation mark is not closed, or a cell has more than %(limit)s characters."
)
NO_HEADING = _l("Line %(line)s has a text in column %(column)s, which has no heading.")
SEPARATORS = ("\t", ";", ",")
"""Separators of cells. Spreadsheets use semicolons in countries where numbers contain commas."""
SEPARATOR_LINE = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?[;,\t]*(?:\r\n?|\n)', re.IGNORECASE)
"""First line of a file for Excel, such as `sep=;`."""
QUOTED = re.compile(r'"[^"]*"')


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
    lines = _lines_with_text(text)
    _, header = next(lines, (0, []))
    header = [" ".join(heading.split()) for heading in header]
    rows = [ImportRow(number, _named_cells(number, header, cells)) for number, cells in lines]
    names = [name for name in header if name]
    if duplicates := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValidationRefused(gettext("Two columns have the same name: %(name)s.", name=duplicates[0]))
    return names, rows


def _named_cells(number: int, header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return the cells of a line by the name of their column. Columns without name and text are left out."""
    named = dict.fromkeys(filter(None, header), "")
    for position, cell in enumerate(cells):
        name = header[position] if position < len(header) else None
        if name:
            named[name] = unescape_formula(cell)
        elif cell.strip() and name is None:
            raise ValidationRefused(gettext("Line %(line)s has more cells than the first line.", line=number))
        elif cell.strip():
            raise ValidationRefused(gettext(NO_HEADING, line=number, column=position + 1))
    return named


def _lines_with_text(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each line that is not empty."""
    separator, skipped = "", 0
    if match := SEPARATOR_LINE.match(text):
        separator, text, skipped = match[1], text[match.end() :], 1
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator or _most_frequent_separator(text), strict=True
    )
    try:
        yield from ((reader.line_num + skipped, cells) for cells in reader if any(map(str.strip, cells)))
    except csv.Error:
        raise ValidationRefused(
            gettext(UNREADABLE, line=reader.line_num + skipped, limit=format_number(csv.field_size_limit()))
        ) from None


def _most_frequent_separator(text: str) -> str:
    """Return the separator that the headings contain most often."""
    header = QUOTED.sub("", text.lstrip("\r\n").partition("\n")[0])
    return max(SEPARATORS, key=header.count) if any(map(header.count, SEPARATORS)) else ","


def _read_json(text: str) -> tuple[list[str], list[ImportRow]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationRefused("This file is not valid JSON.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValidationRefused("This file is not a list of objects, such as an export.")
    header = list(dict.fromkeys(name for row in rows for name in row))
    return header, [ImportRow(number, row) for number, row in enumerate(rows, 1)]


SAME_FIELD = _l("These columns set the same field: %(names)s. Keep one of them.")


async def empty_form(request: Request, view: AdminView) -> AdminForm:
    """Return the form for a new row, with only the fields that the user may set."""
    return without_fields(await view.form_class(request, creating=True), view.unwritable_columns(request, None))()


def fields_to_import(view: AdminView, form: AdminForm) -> dict[str, Any]:
    """Return the form fields that a file can fill in, by column. Secrets and files are left out."""
    fields = view.site.plain_names({field.name: field for field in form}, view.model)
    columns: Any = view.mapper.columns
    return {
        name: field
        for name, field in fields.items()
        if name in columns and not is_secret(name) and not isinstance(field, FileField)
    }


def names_to_import(view: AdminView, form: AdminForm) -> dict[str, NamedColumn]:
    """Return the columns of related rows that a file names by natural key, by the name in the file."""
    return {name: column for name, column in named_columns(view).items() if column.column in form}


def name_columns(
    view: AdminView, form: AdminForm, header: Sequence[str], lines: Sequence[ImportRow]
) -> tuple[list[str], list[ImportRow]]:
    """Replace labels of the list and names in other case by the names of columns, in the header and the rows.

    Raises:
        ValidationRefused: Two headings mean the same column.
    """
    fields, named = fields_to_import(view, form), names_to_import(view, form)
    columns = list(dict.fromkeys([*fields, *named, *view.export_names]))
    labels = {name: str(view.labels.get(name, name)) for name in columns}
    names: dict[str, str] = {}
    for texts in (columns, labels.values(), map(gettext, labels.values())):
        for column, text in zip(columns, texts, strict=True):
            names.setdefault(text.casefold(), column)
    renamed = {heading: heading if heading in columns else names.get(heading.casefold(), heading) for heading in header}
    for name in renamed.values():
        if len(same := [heading for heading in header if renamed[heading] == name]) > 1:
            raise ValidationRefused(gettext(SAME_FIELD, names=", ".join(same)))
    rows = [ImportRow(line.number, {renamed[name]: cell for name, cell in line.cells.items()}) for line in lines]
    return [renamed[heading] for heading in header], rows


def split_header(
    view: AdminView, form: AdminForm, header: Sequence[str], *, may_omit: bool = False
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
        raise ValidationRefused(gettext(SAME_FIELD, names=", ".join(duplicates)))
    aliases = {column.column: name for name, column in named.items()}
    required = [name for name, field in fields.items() if field.flags.required and not field.data]
    missing = [aliases.get(name, name) for name in required if allowed[name] not in columns.values()]
    if missing and not may_omit:
        raise ValidationRefused(gettext("These columns are missing: %(names)s.", names=", ".join(missing)))
    return columns, [name for name in header if name in exported]


@dataclass(frozen=True)
class FormFiller:
    """Fills in forms with the cells of a file."""

    view: AdminView
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
    if python_type_of(column) is bool:
        return _boolean(text.strip().lower(), column.nullable)
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


EXAMPLE_DAY = date(2026, 12, 31)


def source_of_rows(form: AdminForm, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Source:
    """Return the format of a file: that of the user's language, unless its numbers fit only machine format.

    The export of a list is in machine format. A file has one format, so that `1.234` means the same in all rows.

    Args:
        form: The form of the imported rows.
        columns: The form field of each column of the file.
        rows: The cells of each row.
    """
    controls = {name: control for name, field in columns.items() if (control := getattr(form[field], "control", None))}
    numbers = {name: control for name, control in controls.items() if control.type == "number"}
    is_machine = False
    for cells in rows:
        for name, control in numbers.items():
            text = str(cells.get(name) or "").strip()
            if _is_readable(control, text, Source.LANGUAGE) == _is_readable(control, text, Source.MACHINE):
                continue
            if _is_readable(control, text, Source.LANGUAGE):
                return Source.LANGUAGE
            is_machine = True
    return Source.MACHINE if is_machine else Source.LANGUAGE


def _is_readable(control: Control, text: str, source: Source) -> bool:
    try:
        to_machine_format(control, text, source)
    except ValueError:
        return False
    return True


def format_examples() -> dict[str, str]:
    """Return the user's language and texts in its formats, for the import page."""
    language = get_language()
    if is_english():
        day = f"{EXAMPLE_DAY:%m/%d/%Y}"
    else:
        from babel import dates

        day = dates.format_date(EXAMPLE_DAY, "short", language.locale)
    return {"language": language.name, "number": localize_number("1,234.5"), "day": day}


def preview_of(value: Any, cell: Any) -> str:
    """Return a value as it was understood, or the cell of the file if the value has no format."""
    match value:
        case bool():
            return gettext("Yes") if value else gettext("No")
        case int() | float() | Decimal():
            return localize_number(f"{Decimal(str(value)):f}")
        case datetime():
            return format_datetime(value)
        case date():
            return format_day(value)
        case str():
            return value
    return str(cell_of(cell))
