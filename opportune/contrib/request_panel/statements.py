"""Recording of SQL statements with the line that sent them."""

import inspect
import linecache
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

import greenlet
from sqlalchemy.engine import Connection

from opportune.contrib.request_panel.records import PanelMask, Statement, current_record
from opportune.db.database import Database
from opportune.project.layout import FRAMEWORK, display_path
from opportune.web.errors.source_lines import FRAMEWORK_RANK, PROJECT_RANK, code_rank

MAX_SQL_LENGTH = 4_000
MAX_VALUE_BYTES = 2_000
"""Size up to which the values of a statement are kept for EXPLAIN."""
MAX_CODE_LENGTH = 200
STATEMENT_KEY = "request_panel_statement"
"""Attribute of an execution context with the record of its statement."""
DATABASE_CODE = str(FRAMEWORK / "db")
_rank = cache(code_rank)


def recorded_statements(database: Database, mask: PanelMask) -> AbstractContextManager[None]:
    """Record the statements of requests until the block ends."""

    def start(_connection: Connection, _cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        if record := current_record():
            statement = _statement(sql, parameters, context, many, mask)
            record.statements.add(statement)
            setattr(context, STATEMENT_KEY, statement)

    def end(_connection: Connection, _cursor: Any, _sql: str, _values: Any, context: Any, _many: bool) -> None:
        if statement := getattr(context, STATEMENT_KEY, None):
            statement.seconds = perf_counter() - statement.started

    def fail(context: Any) -> None:
        if statement := getattr(context.execution_context, STATEMENT_KEY, None):
            statement.seconds = perf_counter() - statement.started
            statement.error = type(context.original_exception).__name__

    return database.listened_to_by({"before_cursor_execute": start, "after_cursor_execute": end, "handle_error": fail})


def _statement(sql: str, parameters: Any, context: Any, is_many: bool, mask: PanelMask) -> Statement:
    line, code = _sender()
    rows = getattr(context, "compiled_parameters", None) or [{}]
    keeps_values = not is_many and len(sql) <= MAX_SQL_LENGTH and _size(parameters) <= MAX_VALUE_BYTES
    return Statement(
        sql=mask.sql(sql)[:MAX_SQL_LENGTH],
        original=sql if keeps_values else "",
        parameters=parameters if keeps_values else None,
        values={"rows": str(len(rows))} if is_many else mask.values(rows[0]),
        line=line,
        code=mask.text(code, MAX_CODE_LENGTH),
        fingerprint=(sql, repr(parameters)) if keeps_values else object(),
        started=perf_counter(),
    )


def _size(parameters: Any) -> int:
    values = parameters.values() if isinstance(parameters, Mapping) else parameters or ()
    return sum(len(value) if isinstance(value, str | bytes | list) else 8 for value in values)


def _sender() -> tuple[str, str]:
    """Return location and text of the innermost line of the project, or else of the framework above its database."""
    framework_line: tuple[str, int] | None = None
    for frame in _frames():
        file, number = frame.f_code.co_filename, frame.f_lineno
        rank = _rank(file)
        if rank == PROJECT_RANK:
            return _describe_line(file, number)
        if rank == FRAMEWORK_RANK and not file.startswith((DATABASE_CODE, __file__)):
            framework_line = framework_line or (file, number)
    return _describe_line(*framework_line) if framework_line else ("", "")


def _describe_line(file: str, number: int) -> tuple[str, str]:
    return f"{display_path(Path(file))}:{number}", linecache.getline(file, number).strip()


def _frames() -> Iterator[FrameType]:
    """Yield the frames of the stack, innermost first. SQLAlchemy runs statements in a greenlet of the caller."""
    frame = inspect.currentframe()
    thread = greenlet.getcurrent()
    while frame:
        yield frame
        frame = frame.f_back
        if frame is None and thread.parent:
            thread = thread.parent
            frame = thread.gr_frame
