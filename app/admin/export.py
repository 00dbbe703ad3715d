"""CSV and JSON of what a list shows, read in pieces so that no size fills the memory."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqladmin.helpers import default_encoder, secure_filename
from sqlalchemy import Select
from starlette.responses import StreamingResponse

from app.admin.columns import choices_of

if TYPE_CHECKING:
    from app.admin.views import AdminView

ROWS_AT_ONCE = 500
# A spreadsheet runs a cell that begins with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_response(view: "AdminView", statement: Select[Any], kind: str) -> StreamingResponse:
    rows, name = _rows(view, statement), secure_filename(view.get_export_name(kind))
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    if kind == "csv":
        return StreamingResponse(_csv(view, rows), media_type="text/csv; charset=utf-8", headers=headers)
    return StreamingResponse(_json(rows), media_type="application/json", headers=headers)


async def _rows(view: "AdminView", statement: Select[Any]) -> AsyncIterator[dict[str, Any]]:
    """Every row by its number. Each piece has a session of its own: a slow reader holds no connection."""
    key, last = view.pk_columns[0], None
    while True:
        piece = statement.order_by(None).order_by(key).limit(ROWS_AT_ONCE)
        rows = await view._run_query(piece if last is None else piece.where(key > last))
        for row in rows:
            yield {name: await _value(view, row, name) for name in view._export_prop_names}
        if len(rows) < ROWS_AT_ONCE:
            return
        last = getattr(rows[-1], key.name)


async def _value(view: "AdminView", row: Any, name: str) -> Any:
    """SQLAdmin gives an Enum's name, which is not what filters and forms call it."""
    return getattr(row, name) if choices_of(view.model, name) else await view.get_prop_value(row, name)


async def _csv(view: "AdminView", rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    yield _line(view._export_prop_names)
    async for row in rows:
        yield _line([_cell(value) for value in row.values()])


def _line(cells: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return f"'{value}"
    return _exact(value) if value is not None else ""


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
