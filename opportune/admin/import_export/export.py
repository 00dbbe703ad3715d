"""CSV and JSON of what a list shows, read in pieces so that no size fills the memory."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

from sqladmin.helpers import default_encoder, secure_filename
from sqlalchemy import Select
from starlette.requests import Request
from starlette.responses import StreamingResponse

from opportune.admin.log import audit
from opportune.admin.paths import loading
from opportune.admin.protocols import View
from opportune.db.columns import choices_of, title_of

Pieces = AsyncIterator[Sequence[Any]]

EXPORT_BATCH_ROWS = 500
# A spreadsheet runs a cell that begins with one of these, also as some keyboards write them (full width).
FORMULA_PREFIXES = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
CONTROL_PREFIXES = ("\t", "\r", "\n")


async def export_page(request: Request, view: View) -> StreamingResponse:
    """What the list shows, in the order that was chosen there, or as the rows came."""
    kind, statement = request.path_params["export_type"], await view.filtered_query(request)
    is_sorted = bool(request.query_params.get("sortBy"))
    pieces = _in_order(view, view.sort_query(statement, request)) if is_sorted else _by_number(view, statement)
    async with view.site.database.writer() as session:
        audit.record(session, request, "export", view.identity, title=f"{kind} {request.url.query}".strip())
    return _response(view, pieces, kind)


def _response(view: View, pieces: Pieces, kind: str) -> StreamingResponse:
    rows, name = _rows(view, pieces), secure_filename(view.get_export_name(kind))
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    if kind == "csv":
        return StreamingResponse(_csv(view, rows), media_type="text/csv; charset=utf-8", headers=headers)
    return StreamingResponse(_json(rows), media_type="application/json", headers=headers)


async def _rows(view: View, pieces: Pieces) -> AsyncIterator[dict[str, Any]]:
    """Each piece has a session of its own: a slow reader holds no connection."""
    async for rows in pieces:
        for row in rows:
            yield {name: await _value(view, row, name) for name in view.export_names}


async def _by_number(view: View, statement: Select[Any]) -> AsyncIterator[Sequence[Any]]:
    key, last = view.pk_columns[0], None
    while True:
        piece = statement.order_by(key).limit(EXPORT_BATCH_ROWS)
        rows = await _run(view, piece if last is None else piece.where(key > last))
        yield rows
        if len(rows) < EXPORT_BATCH_ROWS:
            return
        last = getattr(rows[-1], key.name)


async def _in_order(view: View, statement: Select[Any]) -> AsyncIterator[Sequence[Any]]:
    """By the numbers of all rows, which are little beside the rows."""
    key = view.pk_columns[0]
    numbers = [number for (number,) in await view.fetch_tuples(statement.with_only_columns(key))]
    for start in range(0, len(numbers), EXPORT_BATCH_ROWS):
        piece = numbers[start : start + EXPORT_BATCH_ROWS]
        found = await _run(view, statement.order_by(None).where(key.in_(piece)))
        by_number = {getattr(row, key.name): row for row in found}
        yield [by_number[number] for number in piece if number in by_number]


async def _run(view: View, piece: Select[Any]) -> Sequence[Any]:
    """The rows with those that they are linked with."""
    rows: Sequence[Any] = await view.fetch_rows(piece.options(*loading(view.mapper, view.export_names)))
    return rows


async def _value(view: View, row: Any, name: str) -> Any:
    """SQLAdmin gives an Enum's name, which is not what filters and forms call it."""
    if name in view.many_to_many:
        return ", ".join(sorted(map(title_of, getattr(row, name))))
    return getattr(row, name) if choices_of(view.model, name) else await view.get_prop_value(row, name)


async def _csv(view: View, rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    yield _line(view.export_names)
    async for row in rows:
        yield _line([_cell(value) for value in row.values()])


def _line(cells: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and _would_run(value):
        return f"'{value}"
    return _exact(value) if value is not None else ""


def _would_run(text: str) -> bool:
    # Quotes are looked through, so that `unescape_formula` can tell ours from one that was there.
    inner = text.lstrip("'")
    return inner.startswith(CONTROL_PREFIXES) or inner.lstrip().lstrip("'").startswith(FORMULA_PREFIXES)


def unescape_formula(text: str) -> str:
    """What a cell was before an export made it harmless."""
    return text[1:] if text.startswith("'") and _would_run(text[1:]) else text


async def _json(rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    separator = "["
    async for row in rows:
        yield separator + json.dumps(row, default=_exact, ensure_ascii=False)
        separator = ",\n"
    yield "[]" if separator == "[" else "]"


def _exact(value: Any) -> Any:
    """SQLAdmin makes a Decimal a float, which drops digits."""
    if isinstance(value, Enum):
        return value.value
    return f"{value:f}" if isinstance(value, Decimal) else default_encoder(value)
