"""CSV and JSON exports of a list. Rows are read in batches to limit memory."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

from sqladmin.helpers import default_encoder, secure_filename
from sqlalchemy import Select, inspect
from starlette.requests import Request
from starlette.responses import StreamingResponse

from opportune.admin.authorization import may_see_titles
from opportune.admin.log import audit
from opportune.admin.views import AdminView
from opportune.contrib.import_export.names import NamedColumn, join_names, named_columns
from opportune.db.models.columns import title_of
from opportune.db.models.translated import TranslatedText
from opportune.db.queries.batches import batches_of
from opportune.i18n.languages import content_languages

Batches = AsyncIterator[Sequence[Any]]
Columns = Mapping[str, NamedColumn | None]
"""Columns of a file by name. The value is None unless the column holds natural keys of related rows."""
LoadBatch = Callable[[Select[Any]], Awaitable[Sequence[Any]]]

EXPORT_BATCH_ROWS = 500
CONTROL_PREFIXES = ("\t", "\r", "\n")


class JsonList(list[Any]):
    """The list in a JSON column, which a file writes as JSON. Other lists are names of related rows."""


# Spreadsheets run cells that begin with one of these characters, which also have full-width forms.
FORMULA_PREFIXES = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# 1.234 is 1234 in several languages, also for spreadsheets. 1.2340 is the same number in all of them.
GROUP_LIKE = re.compile(r"-?[1-9]\d{0,2}\.\d{3}", re.ASCII)


async def export_page(request: Request, view: AdminView) -> StreamingResponse:
    """Export the rows of the list, in the order that the user has selected, or by primary key."""
    await view.site.check_access(request, "export")
    format_, statement = request.path_params["export_type"], await view.filtered_query(request)
    is_sorted = bool(request.query_params.get("sortBy"))
    columns = await _file_columns(request, view)
    load = partial(_load_batch, view, columns)
    batches = (
        _batches_by_query_order(view, view.sort_query(statement, request), load)
        if is_sorted
        else _batches_by_primary_key(view, statement, load)
    )
    async with view.site.database.writer() as session:
        audit.record(session, request, "export", view.identity, title=f"{format_} {request.url.query}".strip())
    return _build_response(view, columns, batches, format_)


def _build_response(view: AdminView, columns: Columns, batches: Batches, format_: str) -> StreamingResponse:
    rows, name = _read_rows(view, columns, batches), secure_filename(view.get_export_name(format_))
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    if format_ == "csv":
        return StreamingResponse(_write_csv(columns, rows), media_type="text/csv; charset=utf-8", headers=headers)
    return StreamingResponse(_write_json(rows), media_type="application/json", headers=headers)


async def _read_rows(view: AdminView, columns: Columns, batches: Batches) -> AsyncIterator[dict[str, Any]]:
    """Yield the values of each row. Each batch has its own session, so that slow clients hold no connection."""
    async for rows in batches:
        for row in rows:
            yield {name: await file_value(view, row, name, named_column) for name, named_column in columns.items()}


async def _file_columns(request: Request, view: AdminView) -> Columns:
    """Return the columns by their names in a file. Users need to see related rows to export their natural keys."""
    columns = named_columns(view).values()
    visible = {column.column: column for column in columns if await may_see_titles(request, column.lookup.view)}
    return {visible[name].name if name in visible else name: visible.get(name) for name in view.export_names}


async def _batches_by_primary_key(
    view: AdminView, statement: Select[Any], load: LoadBatch
) -> AsyncIterator[Sequence[Any]]:
    key, last_key = view.pk_columns[0], None
    while True:
        batch = statement.order_by(key).limit(EXPORT_BATCH_ROWS)
        rows = await load(batch if last_key is None else batch.where(key > last_key))
        yield rows
        if len(rows) < EXPORT_BATCH_ROWS:
            return
        last_key = getattr(rows[-1], key.name)


async def _batches_by_query_order(
    view: AdminView, statement: Select[Any], load: LoadBatch
) -> AsyncIterator[Sequence[Any]]:
    """Yield batches in the order of the query. First read only the keys of all rows, which need little memory."""
    key = view.pk_columns[0]
    ids = [row_id for (row_id,) in await view.fetch_tuples(statement.with_only_columns(key))]
    for batch in batches_of(ids, EXPORT_BATCH_ROWS):
        rows = await load(statement.order_by(None).where(key.in_(batch)))
        by_id = {getattr(row, key.name): row for row in rows}
        yield [by_id[row_id] for row_id in batch if row_id in by_id]


async def _load_batch(view: AdminView, columns: Columns, batch: Select[Any]) -> Sequence[Any]:
    """Load a batch with its related rows."""
    rows: Sequence[Any] = await view.fetch_rows(batch.options(*view.loading(list(columns))))
    return rows


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
    if isinstance(value, list):
        return [_title_or_value(item) for item in value] if "." in name else JsonList(value)
    return value


def _title_or_value(value: Any) -> Any:
    return value if inspect(value, raiseerr=False) is None else title_of(value)


async def _write_csv(columns: Columns, rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    yield _csv_line(list(columns))
    async for row in rows:
        yield _csv_line([_csv_cell(value) for value in row.values()])


def _csv_line(cells: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _csv_cell(value: Any) -> Any:
    """Return a cell of CSV, with a leading quote if a spreadsheet would run its text as a formula."""
    cell = cell_of(value)
    if isinstance(value, Decimal | float) and GROUP_LIKE.fullmatch(str(cell)):
        return f"{cell}0"
    return f"'{cell}" if isinstance(cell, str) and isinstance(value, str | list) and _is_formula(cell) else cell


def cell_of(value: Any) -> Any:
    """Return a value as one cell of CSV."""
    if isinstance(value, JsonList | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return join_names(map(str, value))
    return _encode(value) if value is not None else ""


def _is_formula(text: str) -> bool:
    # Leading quotes are ignored, so that `unescape_formula` removes only the one that was added.
    inner = text.lstrip("'")
    return inner.startswith(CONTROL_PREFIXES) or inner.lstrip().lstrip("'").startswith(FORMULA_PREFIXES)


def unescape_formula(text: str) -> str:
    """Return the text of a cell before the export escaped it."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


async def _write_json(rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    separator = "["
    async for row in rows:
        yield separator + json.dumps(row, default=_encode, ensure_ascii=False)
        separator = ",\n"
    yield "[]" if separator == "[" else "]"


def _encode(value: Any) -> Any:
    """Encode a value for JSON and CSV. SQLAdmin would convert a Decimal to a float and lose digits."""
    if isinstance(value, Enum):
        return value.value
    return f"{value:f}" if isinstance(value, Decimal) else default_encoder(value)
