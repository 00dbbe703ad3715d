"""Rows of CSV and JSON files. CSV files of spreadsheets have several separators, and empty rows and columns."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opportune.admin.errors import ValidationRefused
from opportune.admin.import_export.export import unescape_formula
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_number

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
