"""CSV, XLSX and JSON exports of a list. Rows are read in batches to limit memory."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, inspect, tuple_
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opportune.admin.authorization import may_see_titles
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.actions import redirect_with_error
from opportune.admin.lists.columns import listed_columns
from opportune.admin.lists.parameters import filtered_query
from opportune.admin.log import audit
from opportune.admin.views import AdminView
from opportune.contrib.import_export import cells
from opportune.contrib.import_export.named_columns import NamedColumn, named_columns
from opportune.contrib.import_export.workbooks import MAX_SHEET_ROWS, XLSX_TYPE, SheetWriter
from opportune.db.models.labels import title_of
from opportune.db.models.translated import TranslatedText
from opportune.db.queries.batches import batches_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_number
from opportune.i18n.languages import content_languages
from opportune.web.streaming import read_parts

Batches = AsyncIterator[Sequence[Mapping[str, Any]]]
"""Rows in portions, each with its values by column."""
Columns = Mapping[str, NamedColumn | None]
"""Columns of a file by name. The value is None unless the column holds natural keys of related rows."""
TOO_LONG_FOR_A_SHEET = _l(
    "An Excel sheet has at most %(limit)s rows, and this list has more. Filter it, or export it as CSV."
)
EXPORT_BATCH_ROWS = 500


async def export_page(request: Request, view: AdminView) -> Response:
    """Export the rows of the list, in the order that the user has selected, or by primary key."""
    await view.site.check_access(request, "export")
    format_ = request.path_params["export_type"]
    statement = await filtered_query(request, view)
    columns = await _file_columns(request, view)
    is_sorted = bool(request.query_params.get("sortBy"))
    ordered = view.sort_query(statement, request) if is_sorted else statement.order_by(*view.pk_columns)
    batches = _read_batches(view, columns, ordered)
    try:
        response = await _build_response(view, columns, batches, format_, statement)
    except FieldErrors as refusal:
        return redirect_with_error(request, view, str(refusal))
    async with view.site.database.writer() as session:
        audit.record(session, request, "export", view.identity, title=f"{format_} {request.url.query}".strip())
    return response


async def _build_response(
    view: AdminView, columns: Columns, batches: Batches, format_: str, statement: Select[Any]
) -> Response:
    headers = cells.download_headers(view.get_export_name(format_))
    if format_ == "csv":
        return StreamingResponse(_write_csv(columns, batches), media_type="text/csv; charset=utf-8", headers=headers)
    if format_ == "xlsx":
        await _check_sheet_rows(view, statement)
        return StreamingResponse(_write_xlsx(columns, batches), media_type=XLSX_TYPE, headers=headers)
    return StreamingResponse(_write_json(batches), media_type="application/json", headers=headers)


async def _check_sheet_rows(view: AdminView, statement: Select[Any]) -> None:
    """Raise ValidationRefused if the list has more rows than a sheet."""
    last_row = statement.with_only_columns(*view.pk_columns).order_by(None).offset(MAX_SHEET_ROWS - 1).limit(1)
    if await view.queries.tuples(last_row):
        raise ValidationRefused(gettext(TOO_LONG_FOR_A_SHEET, limit=format_number(MAX_SHEET_ROWS - 1)))


async def _write_xlsx(columns: Columns, batches: Batches) -> AsyncIterator[bytes]:
    """Write the rows to temporary files, so that they are never all in memory."""
    writer = await asyncio.to_thread(SheetWriter, list(columns))
    async for batch in batches:
        await asyncio.to_thread(writer.append, [[cells.xlsx_value(value) for value in row.values()] for row in batch])
    with tempfile.TemporaryFile() as file:
        await asyncio.to_thread(writer.workbook.save, file)
        async for part in read_parts(file):
            yield part


async def _file_columns(request: Request, view: AdminView) -> Columns:
    """Return the columns by their names in a file: those that the user has selected for the list, or all.

    Users need to see related rows to export their natural keys. The view's own choice of columns limits those of users.

    Raises:
        FieldErrors: The list does not have one of the columns.
    """
    names: Sequence[str] = view.names.in_export
    if "columns" in request.query_params:
        is_limited = view.column_export_list or view.column_export_exclude_list
        names = [name for name in listed_columns(request, view) if name in names or not is_limited]
    columns = named_columns(view).values()
    visible = {column.column: column for column in columns if await may_see_titles(request, column.lookup.view)}
    return {visible[name].name if name in visible else name: visible.get(name) for name in names}


async def _read_batches(view: AdminView, columns: Columns, statement: Select[Any]) -> Batches:
    """Yield the rows in the order of the statement. First read only the keys of all rows, which need little memory.

    Each batch has its own session, so that slow clients hold no connection.
    """
    related = view.queries.loading(list(columns))
    keys = [tuple(key) for key in await view.queries.tuples(statement.with_only_columns(*view.pk_columns))]
    for batch in batches_of(keys, EXPORT_BATCH_ROWS):
        loaded = statement.order_by(None).where(tuple_(*view.pk_columns).in_(batch)).options(*related)
        rows = {tuple(view.mapper.primary_key_from_instance(row)): row for row in await view.queries.objects(loaded)}
        stored = [rows[key] for key in batch if key in rows]
        yield [{name: await file_value(view, row, name, named) for name, named in columns.items()} for row in stored]


async def file_value(view: AdminView, row: Any, name: str, named_column: NamedColumn | None) -> Any:
    """Return the value of a row for a column of a file. Several names of related rows are a list."""
    if named_column:
        names = named_column.names_of(row)
        return names if named_column.is_many else next(iter(names), None)
    if name in view.many_to_many:
        return ", ".join(sorted(map(title_of, getattr(row, name))))
    value = await view.get_prop_value(row, name)
    if isinstance(value, TranslatedText):
        return dict(value.texts) if len(content_languages()) > 1 else str(value)
    if isinstance(value, list) and "." in name:  # values of related rows, or the rows
        return [title_of(item) if inspect(item, raiseerr=False) else item for item in value]
    return cells.JsonList(value) if isinstance(value, list) else value


async def _write_csv(columns: Columns, batches: Batches) -> AsyncIterator[str]:
    yield cells.csv_lines([list(columns)])
    async for batch in batches:
        yield cells.csv_lines([[cells.csv_cell(value) for value in row.values()] for row in batch])


async def _write_json(batches: Batches) -> AsyncIterator[str]:
    separator = "["
    async for batch in batches:
        for row in batch:
            yield separator + json.dumps(row, default=cells.encode_value, ensure_ascii=False)
            separator = ",\n"
    yield "[]" if separator == "[" else "]"
