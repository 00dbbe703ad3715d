"""Files of a table: samples for an import, lines with errors, and reports."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Column
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import may_list
from opportune.admin.views import AdminView
from opportune.contrib.import_export.cells import cell_of, csv_response, download_headers
from opportune.contrib.import_export.import_run import faulty_rows
from opportune.contrib.import_export.import_view import check_import, load_file
from opportune.contrib.import_export.table import Table
from opportune.contrib.import_export.targets import Target, find_targets
from opportune.contrib.import_export.workbooks import XLSX_TYPE, SheetWriter
from opportune.db.models.columns import is_json, python_type_of
from opportune.db.models.labels import title_of
from opportune.i18n import gettext

EVENING = datetime(2026, 12, 31, 18, 30, tzinfo=UTC)
EXAMPLES: Mapping[type, Sequence[Any]] = {
    bool: (True, False),
    date: (EVENING.date(), EVENING.date() - timedelta(1)),
    datetime: (EVENING, EVENING - timedelta(1)),
    dict: ({"key": 1}, {"key": 2}),
    time: (EVENING.time(), time(8)),
    timedelta: (timedelta(hours=1), timedelta(minutes=90)),
    UUID: (UUID(int=1), UUID(int=2)),
}
"""Values for the sample rows by the type of a column. Other columns have texts, numbers or choices."""
FILE_TYPES = ("csv", "xlsx")
SAMPLE_ROWS = 2
EXAMPLE_AFFIXES = {"email": ("name", "@example.com"), "url": ("https://example.com/", "")}
"""Example texts by type of input: before and after the number of the row."""


async def sample_page(request: Request, view: AdminView) -> Response:
    """Return a file with the labels of the fields as headings, and example rows."""
    type_ = file_type(request)
    await check_import(request, view)
    targets = await find_targets(request, view)
    by_field: dict[str, Target] = {}
    for target in targets.values():
        by_field.setdefault(target.field, target)
    columns = [await _examples(request, view, target) for target in by_field.values()]
    labels = [target.label for target in by_field.values()]
    return await file_response(type_, f"{view.identity}-sample", labels, [*zip(*columns, strict=True)])


async def faults_page(request: Request, view: AdminView) -> Response:
    """Return the lines with errors, with a column that says why. The file can be imported again."""
    type_ = file_type(request)
    file = await load_file(request, view)
    faults = faulty_rows(file)
    if not faults or not file.content:
        raise HTTPException(404)
    table = await asyncio.to_thread(Table.load, file.content)
    rows = [[*row.cells, faults[row.number]] for row in table.rows if row.number in faults]
    name = f"{file.name.rpartition('.')[0]}-errors"
    return await file_response(type_, name, [*table.header, gettext("Import error")], rows)


def file_type(request: Request) -> str:
    """Return the type of file in the URL.

    Raises:
        HTTPException: There is no such type.
    """
    type_: str = request.path_params["type"]
    if type_ not in FILE_TYPES:
        raise HTTPException(404)
    return type_


async def _examples(request: Request, view: AdminView, target: Target) -> Sequence[Any]:
    """Return an example for each sample row."""
    if target.related is None:
        return _example_values(view.mapper.columns[target.name], target)
    examples = [""] * SAMPLE_ROWS
    if await may_list(request, target.related.lookup.view):
        for position, row in enumerate(await target.related.lookup.titled_rows(request, SAMPLE_ROWS)):
            examples[position] = str(getattr(row, target.related.key) if target.related.key else title_of(row))
    return examples


def _example_values(column: Column[Any], target: Target) -> Sequence[Any]:
    if examples := EXAMPLES.get(dict if is_json(column) else python_type_of(column)):
        return examples
    control = target.control
    choices = [choice for choice in control.choices if choice] if control else []
    if choices:
        return [choices[0], choices[-1]]
    if control and control.type == "number":
        return [12, 3] if control.decimals == 0 else [12.5, 3.75]
    before, after = EXAMPLE_AFFIXES.get(control.type if control else "", (f"{target.label} ", ""))
    ends = [f"{row}{after}" for row in range(1, SAMPLE_ROWS + 1)]  # they differ, also if the column is short
    max_length = getattr(column.type, "length", None) or len(before) + len(ends[0])
    return [before[: max(max_length - len(end), 0)] + end for end in ends]


async def file_response(type_: str, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Response:
    if type_ == "csv":
        return csv_response(f"{name}.csv", [header, *rows])
    content = await asyncio.to_thread(workbook_content, header, rows)
    return Response(content, media_type=XLSX_TYPE, headers=download_headers(f"{name}.xlsx"))


def workbook_content(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    target = io.BytesIO()
    writer = SheetWriter(header)
    writer.append([[cell_of(cell) if isinstance(cell, dict | list) else cell for cell in row] for row in rows])
    writer.workbook.save(target)
    return target.getvalue()
