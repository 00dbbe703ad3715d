"""Reads CSV, XLSX and JSON files into a table: a heading for each column, and rows of cells.

CSV files of spreadsheets have several separators and encodings, and empty rows and columns.
"""

import csv
import io
import json
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opportune.admin.errors import ValidationRefused
from opportune.contrib.import_export.cells import unescape_formula
from opportune.contrib.import_export.workbooks import TOO_MANY_COLUMNS, ZIP_SIGNATURE, read_workbook
from opportune.i18n import get_language, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_number
from opportune.schemas.text import make_storable

UNREADABLE = _l(
    "Line %(line)s cannot be read: a quotation mark is not closed, or a cell has more than %(limit)s characters."
)
NO_HEADING = _l("Line %(line)s has a text in column %(column)s, which has no heading.")
NO_ROWS = _l("This file has no rows.")
TOO_MANY_ROWS = _l("This file has more than %(limit)s rows. Divide it into several files.")
SEPARATORS = ("\t", ";", ",")
"""Separators of cells. Spreadsheets use semicolons in countries where numbers contain commas."""
SEPARATOR_LINE = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?[;,\t]*(?:\r\n?|\n)', re.IGNORECASE)
"""First line of a file for Excel, such as `sep=;`."""
QUOTED = re.compile(r'"[^"]*"')
MAX_COLUMNS = 200
OLE_SIGNATURE = b"\xd0\xcf\x11\xe0"
"""First bytes of an encrypted workbook, and of the format .xls."""
ENCODINGS = {
    "ar": "cp1256",
    "cs": "cp1250",
    "el": "cp1253",
    "fa": "cp1256",
    "he": "cp1255",
    "hu": "cp1250",
    "ja": "cp932",
    "ko": "cp949",
    "pl": "cp1250",
    "ru": "cp1251",
    "tr": "cp1254",
    "uk": "cp1251",
    "zh": "gbk",
}
"""Encodings in which Excel saves "CSV" files on Windows, by language. The others use cp1252."""


class TableRow(NamedTuple):
    number: int
    """The line of a CSV file, the row of a sheet, or the position of a JSON object, counted from 1."""
    cells: Sequence[Any]
    """Texts of a CSV file. Workbooks and JSON also have numbers, booleans and None."""


class ImportRow(NamedTuple):
    number: int
    """The number of the row in its table."""
    cells: Mapping[str, Any]
    """The cells by the names of their targets."""


def named_rows(rows: Iterable[TableRow], names: Sequence[str]) -> list[ImportRow]:
    """Return the rows of a table, given the name of the target of each column, or an empty text."""
    return [
        ImportRow(row.number, {name: cell for name, cell in zip(names, row.cells, strict=True) if name}) for row in rows
    ]


class Table(NamedTuple):
    type: str
    """csv, xlsx or json."""
    header: Sequence[str]
    rows: Sequence[TableRow]
    encoding: str = ""
    """The encoding of a CSV file that is not Unicode. Another one would give other letters."""
    sheet: str = ""
    """Name of the sheet of a workbook with several ones."""

    def dump(self) -> bytes:
        content = [self.type, self.header, [[row.number, row.cells] for row in self.rows], self.encoding, self.sheet]
        return zlib.compress(json.dumps(content).encode(), 1)

    @classmethod
    def load(cls, content: bytes) -> "Table":
        """Return the table of `dump`."""
        type_, header, rows, encoding, sheet = json.loads(zlib.decompress(content))
        return cls(type_, header, [TableRow(number, cells) for number, cells in rows], encoding, sheet)


def read_table(name: str, content: bytes, max_rows: int) -> Table:
    """Return the table in a file.

    Raises:
        ValidationRefused: The content does not match the file type, or has too many rows or columns.
    """
    type_ = name.rpartition(".")[2].lower()
    if content.startswith(OLE_SIGNATURE):
        raise ValidationRefused(
            "This workbook has a password or the old format .xls. Save it as .xlsx without a password."
        )
    if content.startswith(ZIP_SIGNATURE):
        type_ = "xlsx"
    readers = {"csv": _read_csv, "xlsx": _read_xlsx, "json": _read_json}
    if type_ not in readers:
        raise ValidationRefused("Please choose a file whose name ends in .csv, .xlsx or .json.")
    return readers[type_](content, max_rows)


def _check_size(header: Sequence[Any], rows: Sequence[Any], max_rows: int) -> None:
    if not rows:
        raise ValidationRefused(NO_ROWS)
    if len(rows) > max_rows:
        raise ValidationRefused(gettext(TOO_MANY_ROWS, limit=format_number(max_rows)))
    if len(header) > MAX_COLUMNS:
        raise ValidationRefused(gettext(TOO_MANY_COLUMNS, limit=format_number(MAX_COLUMNS)))


def _read_csv(content: bytes, max_rows: int) -> Table:
    decoded = _decode(content)
    lines = _lines_with_text(decoded.text)
    header = next(lines, TableRow(0, [])).cells
    rows = []
    for number, cells in lines:
        rows.append(TableRow(number, [unescape_formula(cell) for cell in cells]))
        if len(rows) > max_rows:
            break
    return _named_table("csv", header, rows, max_rows, encoding=decoded.encoding)


def _read_xlsx(content: bytes, max_rows: int) -> Table:
    sheet = read_workbook(content, max_rows + 2, MAX_COLUMNS)
    if not sheet.rows:
        raise ValidationRefused(NO_ROWS)
    header, *lines = [TableRow(number, cells) for number, cells in sheet.rows]
    headings = ["" if cell is None else str(cell) for cell in header.cells]
    return _named_table("xlsx", headings, lines, max_rows, sheet=sheet.name)


def _named_table(type_: str, header: Sequence[str], lines: Sequence[TableRow], max_rows: int, **origin: str) -> Table:
    """Return a table without columns that have neither a heading nor a text."""
    names = [" ".join(heading.split()) for heading in header]
    positions = [position for position, name in enumerate(names) if name]
    _check_size(positions, lines, max_rows)  # short lines are filled up to the number of columns
    rows = []
    for number, cells in lines:
        for position, cell in enumerate(cells):
            has_heading = position < len(names) and names[position]
            if has_heading or cell is None or not str(cell).strip():
                continue
            if position >= len(names):
                raise ValidationRefused(gettext("Line %(line)s has more cells than the first line.", line=number))
            raise ValidationRefused(gettext(NO_HEADING, line=number, column=position + 1))
        rows.append(TableRow(number, [cells[position] if position < len(cells) else "" for position in positions]))
    return Table(type_, [names[position] for position in positions], rows, **origin)


class _DecodedText(NamedTuple):
    text: str
    encoding: str
    """Empty for Unicode."""


def _decode(content: bytes) -> _DecodedText:
    """Return the text of a file.

    Raises:
        ValidationRefused: The content is not a text.
    """
    unicode_encoding = "utf-8-sig"
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        unicode_encoding = "utf-16"
    elif not content.startswith(BOM_UTF8) and content[1:2] == b"\0":
        unicode_encoding = "utf-16-le"
    other = ENCODINGS.get(get_language().code.partition("-")[0], "cp1252")
    for encoding in (unicode_encoding, other):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return _DecodedText(text, "" if encoding == unicode_encoding else encoding)
    raise ValidationRefused("This file is not a text. Save it as “CSV UTF-8”.")


def _lines_with_text(text: str) -> Iterator[TableRow]:
    """Yield each line that is not empty."""
    if separator_line := SEPARATOR_LINE.match(text):
        text = text[separator_line.end() :]
    separator = separator_line[1] if separator_line else _most_frequent_separator(text)
    skipped = 1 if separator_line else 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        yield from (TableRow(reader.line_num + skipped, cells) for cells in reader if any(map(str.strip, cells)))
    except csv.Error:
        line = reader.line_num + skipped
        limit = format_number(csv.field_size_limit())
        raise ValidationRefused(gettext(UNREADABLE, line=line, limit=limit)) from None


def _most_frequent_separator(text: str) -> str:
    """Return the separator that the headings contain most often."""
    header = QUOTED.sub("", text.lstrip("\r\n").partition("\n")[0])
    return max(SEPARATORS, key=header.count) if any(map(header.count, SEPARATORS)) else ","


def _read_json(content: bytes, max_rows: int) -> Table:
    text = _decode(content).text
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationRefused("This file is not valid JSON.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValidationRefused("This file is not a list of objects, such as an export.")
    header = list(dict.fromkeys(name for row in rows for name in row))
    _check_size(header, rows, max_rows)  # the cells of objects with different names are the square of their number
    lines = [TableRow(number, [row.get(name) for name in header]) for number, row in enumerate(rows, 1)]
    return Table("json", [make_storable(name) for name in header], lines)
