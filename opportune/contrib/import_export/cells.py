"""Cells of CSV and Excel files, and downloads of CSV."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from opportune.contrib.import_export.name_lists import join_names
from opportune.web.forms.input_texts import as_text

CONTROL_PREFIXES = ("\t", "\r", "\n")
PLAIN_TYPES = (str, int, float, list, tuple, dict)


class JsonList(list[Any]):
    """The list in a JSON column, which a file writes as JSON. Other lists are names of related rows."""


# Spreadsheets run cells that begin with one of these characters, which also have full-width forms.
FORMULA_PREFIXES = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# 1.234 is 1234 in several languages, also for spreadsheets. 1.2340 is the same number in all of them.
GROUP_LIKE = re.compile(r"-?[1-9]\d{0,2}\.\d{3}", re.ASCII)


def csv_response(name: str, rows: Iterable[Sequence[Any]]) -> Response:
    """Return a download of CSV. Texts that a spreadsheet would run as formulas are escaped.

    Args:
        name: Name of the file, such as `books.csv`.
        rows: Values of each line, the headings first.
    """
    text = csv_lines([[csv_cell(value) for value in row] for row in rows])
    return Response(text, media_type="text/csv; charset=utf-8", headers=download_headers(name))


def download_headers(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}


def csv_lines(rows: Sequence[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()


def xlsx_value(value: Any) -> Any:
    """Return a number, date or yes as such, and other values as in CSV."""
    is_plain = isinstance(value, bool | int | float | Decimal | date | time) and not isinstance(value, Enum)
    return value if is_plain else cell_of(value)


def csv_cell(value: Any) -> Any:
    """Return a cell of CSV, with a leading quote if a spreadsheet would run its text as a formula."""
    cell = cell_of(value)
    if isinstance(value, Decimal | float) and GROUP_LIKE.fullmatch(str(cell)):
        return f"{cell}0"
    is_text = isinstance(cell, str) and isinstance(value, str | list)
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
