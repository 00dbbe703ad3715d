"""Cells of CSV and Excel files, and downloads of CSV."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from opportune.contrib.import_export.name_lists import join_names
from opportune.crud.formats import yes_or_no
from opportune.i18n.formats import is_english, localize_number
from opportune.i18n.parsing import DAY_FIRST, language_date_order
from opportune.web.forms.input_texts import as_text

CONTROL_PREFIXES = ("\t", "\r", "\n")
PLAIN_TYPES = (str, int, float, list, tuple, dict)
NUMBERS_AND_TIMES = (int, float, Decimal, date, time, timedelta)


class JsonList(list[Any]):
    """The list in a JSON column, which a file writes as JSON. Other lists are names of related rows."""


# Spreadsheets run cells that begin with one of these characters, which also have full-width forms.
FORMULA_PREFIXES = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# 1.234 is 1234 in several languages, also for spreadsheets. 1.2340 is the same number in all of them.
GROUP_LIKE = re.compile(r"-?[1-9]\d{0,2}\.\d{3}", re.ASCII)


def csv_response(name: str, rows: Iterable[Sequence[Any]]) -> Response:
    """Return a download of CSV that spreadsheets of the user's language open with columns, numbers and dates.

    Texts that a spreadsheet would run as formulas are escaped.

    Args:
        name: Name of the file, such as `books.csv`.
        rows: Values of each line, the headings first.
    """
    separator = ";" if localize_number(".") == "," else ","
    text = csv_lines([[_local_cell(value) for value in row] for row in rows], separator)
    content = text.encode("utf-8-sig", errors="replace")
    return Response(content, media_type="text/csv; charset=utf-8", headers=download_headers(name))


def download_headers(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}


def csv_lines(rows: Sequence[Sequence[Any]], separator: str = ",") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator).writerows(rows)
    return buffer.getvalue()


def _local_cell(value: Any) -> Any:
    if isinstance(value, float | Decimal):  # a minus sign at the beginning is no formula
        return localize_number(f"{value:f}" if isinstance(value, Decimal) else str(value))
    return csv_cell(_local_text(value))


def _local_text(value: Any) -> Any:
    """Return a yes in the user's language, and a date as spreadsheets of the user's country read it."""
    match value:
        case bool():
            return yes_or_no(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
        case date() if not is_english():
            return f"{value:%d.%m.%Y}" if language_date_order() == DAY_FIRST else value.isoformat()
    return value


def xlsx_value(value: Any) -> Any:
    """Return a number, date or yes as such, and other values as in CSV."""
    is_plain = isinstance(value, bool | int | float | Decimal | date | time) and not isinstance(value, Enum)
    return value if is_plain else cell_of(value)


def csv_cell(value: Any) -> Any:
    """Return a cell of CSV, with a leading quote if a spreadsheet would run its text as a formula."""
    cell = cell_of(value)
    if isinstance(value, Decimal | float) and GROUP_LIKE.fullmatch(str(cell)):
        return f"{cell}0"
    is_text = isinstance(cell, str) and not isinstance(value, NUMBERS_AND_TIMES)
    return f"'{cell}" if is_text and _is_formula(cell) else cell


def cell_of(value: Any) -> Any:
    if isinstance(value, JsonList | dict):
        return json.dumps(value, ensure_ascii=False, default=encode_value)
    if isinstance(value, list):
        return join_names(map(str, value))
    return encode_value(value) if value is not None else ""


def _is_formula(text: str) -> bool:
    # Leading quotes are ignored, so that `unescape_formula` removes only the one that was added.
    inner = text.lstrip("'")
    return inner.startswith(CONTROL_PREFIXES) or inner.lstrip().lstrip("'").startswith(FORMULA_PREFIXES)


def unescape_formula(text: str) -> str:
    """Return the text of a cell before the export escaped it."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def encode_value(value: Any) -> Any:
    """Encode a value for JSON and CSV, without losing digits."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return as_text(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date | time):
        return value.isoformat()
    return value if isinstance(value, PLAIN_TYPES) else str(value)
