"""Reads and writes XLSX files with openpyxl, in threads and with bounded memory."""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from xml.parsers import expat

from opportune.admin.errors import ValidationRefused
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_number
from opportune.schemas.text import shorten

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP_SIGNATURE = b"PK\x03\x04"
MAX_UNPACKED_BYTES = 100_000_000
MAX_ELEMENTS = 500_000
"""Elements that openpyxl keeps in memory: those of a part, or of a sheet its rows and the cells of one row. An element
takes 300 bytes."""
MAX_CELLS = 50_000_000
"""Cells to read, with the empty ones before the last cell of a row."""
SHEET = re.compile(r"xl/worksheets/[^/]+")
READ_AS_A_WHOLE = re.compile("sharedStrings|sheet.main|chartsheet|externalLink(?!Path)")
"""Types of parts that openpyxl reads into memory as a whole."""
ROW = "http://schemas.openxmlformats.org/spreadsheetml/2006/main row"
"""Namespace and name of the elements that openpyxl empties after it has read them."""
MAX_CELL_LENGTH = 32_767
"""Characters that Excel stores in a cell."""
MAX_SHEET_ROWS = 1_048_576
"""Rows of a sheet, the headings included."""
MAX_EXACT_DIGITS = 15
"""Digits that Excel stores of a number."""
MIN_YEAR = 1900
"""Excel has no earlier dates."""
TOO_MANY_COLUMNS = _l("This file has more than %(limit)s columns. Remove those that you do not need.")
TOO_LARGE = _l("This workbook is too large when it is unpacked. Divide it into several files.")
DAMAGED = _l("This workbook is damaged. Open it in a spreadsheet and save it as .xlsx again.")
NO_RESULT = _l("Cell %(cell)s has a formula without a result. Open the file in a spreadsheet and save it again.")
# Tags have a maximum length, because a file of tags that do not end would take hours.
FORMULA_WITHOUT_RESULT = re.compile(
    rb'<c r="(\w{1,10})"(?![^>]{0,300}t="str")[^>]{0,300}><f[^>]{0,300}(?:/>|>[^<]*</f>)(?:<v ?/>|<v></v>)?</c>'
)
ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")


class Sheet(NamedTuple):
    name: str
    """Empty for the only sheet of a workbook."""
    rows: list[tuple[int, list[Any]]]
    """Filled rows with their numbers."""


def read_workbook(content: bytes, max_rows: int, max_columns: int) -> Sheet:
    """Return the first visible sheet with its first filled rows.

    Raises:
        ValidationRefused: The file is not a workbook, is too large, or has cells whose value is not known.
    """
    from openpyxl.reader.excel import ExcelReader

    _check_archive(content)
    try:
        reader = ExcelReader(io.BytesIO(content), read_only=True, data_only=True)
        reader.read()
        return _read_first_sheet(reader, max_rows, max_columns)
    except ValidationRefused:
        raise
    except Exception as error:  # openpyxl raises errors of XML, ZIP and Python for damaged files
        raise ValidationRefused(DAMAGED) from error


def _read_first_sheet(reader: Any, max_rows: int, max_columns: int) -> Sheet:
    sheets = reader.wb.worksheets
    sheet = next((sheet for sheet in sheets if sheet.sheet_state == "visible"), None)
    if sheet is None:
        raise ValidationRefused("This workbook has no visible sheet.")
    paths = {entry.name: part.target for entry, part in reader.parser.find_sheets()}
    _check_sheet(reader.archive.read(paths[sheet.title]))
    sheet.reset_dimensions()  # programs may write wrong ones
    rows: list[tuple[int, list[Any]]] = []
    count = 0
    for number, values in enumerate(sheet.iter_rows(max_row=MAX_SHEET_ROWS, values_only=True), 1):
        count += len(values)
        if count > MAX_CELLS:
            raise ValidationRefused(TOO_LARGE)
        if any(str(value).strip() for value in values if value is not None):
            rows.append((number, _read_values(number, values, max_columns)))
        if len(rows) == max_rows:
            break
    return Sheet(sheet.title if len(sheets) > 1 else "", rows)


def _check_archive(content: bytes) -> None:
    """Refuse files that are no workbooks, or that unpack to too many bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if "xl/workbook.xml" not in sizes:
                raise ValidationRefused("This file is not an Excel workbook (.xlsx).")
            if sum(sizes.values()) > MAX_UNPACKED_BYTES:
                raise ValidationRefused(TOO_LARGE)
            for name in sizes:
                _check_elements(archive.read(name), has_rows=bool(SHEET.fullmatch(name)))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, LookupError, ValueError) as error:
        raise ValidationRefused(DAMAGED) from error


def _check_elements(part: bytes, *, has_rows: bool) -> None:
    """Refuse a part with too many elements, of which those in a row count until it ends. Other files have none.

    Rows are emptied only in sheets, so sheets that are also of another type are refused. So are entities, by which a
    small part becomes a large text.
    """
    count = count_with_row = 0

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count, count_with_row
        count += 1
        if count > MAX_ELEMENTS:
            raise ValidationRefused(TOO_LARGE)
        if name == ROW:
            count_with_row = count
        elif name.endswith(("Override", "Relationship")):
            path_and_type = " ".join(attributes.values())
            if "worksheets/" in path_and_type and READ_AS_A_WHOLE.search(path_and_type):
                raise ValidationRefused(DAMAGED)

    def on_end(name: str) -> None:
        nonlocal count
        if name == ROW and has_rows:
            count = count_with_row

    def on_entity(*_declaration: object) -> None:
        raise ValidationRefused(DAMAGED)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.EntityDeclHandler = on_entity
    with suppress(expat.ExpatError):
        parser.Parse(part, True)


def _check_sheet(xml: bytes) -> None:
    """Refuse a sheet whose values are not all stored."""
    if b"<mergeCell " in xml:
        raise ValidationRefused("This workbook has merged cells. Unmerge them, so that each row has its values.")
    if match := FORMULA_WITHOUT_RESULT.search(xml):
        raise ValidationRefused(gettext(NO_RESULT, cell=match[1].decode()))


def _read_values(row: int, values: Sequence[Any], max_columns: int) -> list[Any]:
    from openpyxl.utils import get_column_letter

    for column, value in enumerate(values, 1):
        if column > max_columns and value is not None and str(value).strip():
            raise ValidationRefused(gettext(TOO_MANY_COLUMNS, limit=format_number(max_columns)))
        if value in ERRORS:
            cell = f"{get_column_letter(column)}{row}"
            raise ValidationRefused(gettext("Cell %(cell)s has the error %(error)s.", cell=cell, error=value))
    return [read_value(value) for value in values[:max_columns]]


def read_value(value: Any) -> Any:
    """Return the value of a cell as in JSON: dates and times are texts in ISO format."""
    match value:
        case float():
            return int(value) if value.is_integer() and abs(value) < 10**MAX_EXACT_DIGITS else value
        case datetime():
            precision = "milliseconds" if value.microsecond else "seconds"
            return value.date().isoformat() if value.time() == time() else value.isoformat(timespec=precision)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
    return value


class SheetWriter:
    """Writes the rows of a workbook to a temporary file, so that they need little memory."""

    def __init__(self, header: Sequence[str]) -> None:
        from openpyxl import Workbook

        self.workbook = Workbook(write_only=True)
        self.sheet: Any = self.workbook.create_sheet()
        self.append([header])

    def append(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self.sheet.append([self._cell(value) for value in row])

    def _cell(self, value: Any) -> Any:
        from openpyxl.cell import WriteOnlyCell

        value = excel_value(value)
        if isinstance(value, str) and value.startswith(("=", "#")):  # openpyxl would write a formula or an error
            value = WriteOnlyCell(self.sheet, value)
            value.data_type = "s"
        return value


def excel_value(value: Any) -> Any:
    """Return a value that Excel stores: of times up to milliseconds, of texts all but control characters.

    An empty text is None, because a formula cannot add a cell with an empty text.
    """
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    match value:
        case bool() | None:
            return value
        case int() | float() | Decimal():
            digits = f"{Decimal(str(value)):f}".replace("-", "").replace(".", "").strip("0")
            return value if math.isfinite(value) and len(digits) <= MAX_EXACT_DIGITS else str(value)
        case datetime():
            utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return utc.replace(microsecond=utc.microsecond // 1000 * 1000) if utc.year >= MIN_YEAR else utc.isoformat()
        case date():
            return value if value.year >= MIN_YEAR else value.isoformat()
        case time():
            return value.isoformat() if value.microsecond else value
    return shorten(ILLEGAL_CHARACTERS_RE.sub("\ufffd", str(value)), MAX_CELL_LENGTH) or None
