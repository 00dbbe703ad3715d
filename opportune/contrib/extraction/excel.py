"""Sheets of Excel files."""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from itertools import chain
from typing import Any

from opportune.contrib.extraction.pages import Page, join_cells


def read_xlsx(file: BytesIO) -> Iterator[Page]:
    """Yield the sheets of an Excel file. Each row is a line, with the headings of its columns."""
    from openpyxl import load_workbook

    for sheet in load_workbook(file, read_only=True, data_only=True).worksheets:
        sheet.reset_dimensions()  # the file may state wrong ones
        yield Page(0, sheet.title, "\n".join(_sheet_lines(sheet)))


def _sheet_lines(sheet: Any) -> Iterator[str]:
    rows: Iterator[dict[int, Any]] = filter(None, map(_filled_cells, sheet.iter_rows(values_only=True)))
    headings = next(rows, {})
    second = next(rows, {})
    if _is_title(headings, second):
        yield join_cells(map(str, headings.values()))
        headings = second
    else:
        rows = chain(filter(None, [second]), rows)
    labels = {column: f"{str(value).strip()}: " for column, value in headings.items()}
    yield join_cells(map(str, headings.values()))
    for cells in rows:
        yield join_cells(f"{labels.get(column, '')}{str(value).strip()}" for column, value in cells.items())


def _is_title(first: Mapping[int, Any], second: Mapping[int, Any]) -> bool:
    """Return whether only the first cell of the first row is filled, and the second row has headings."""
    return list(first) == [0] and len(second) > 1 and all(isinstance(value, str) for value in second.values())


def _filled_cells(values: Iterable[Any]) -> dict[int, Any]:
    return {column: value for column, value in enumerate(values) if value is not None and str(value).strip()}
