"""Recording of SQL statements with the line that sent them, and of templates, queued jobs and log lines."""

import inspect
import linecache
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

import greenlet
from jinja2 import Environment
from sqlalchemy.engine import Connection

from opportune.contrib.request_panel.records import (
    MAX_ENTRIES,
    LogLine,
    PanelMask,
    Statement,
    current_record,
    public_names,
)
from opportune.db.database import Database
from opportune.mail import EmailMessage
from opportune.mail.outage import SEND_EMAIL
from opportune.project.layout import FRAMEWORK, display_path
from opportune.services.observers import Observer
from opportune.web.errors.source_lines import FRAMEWORK_RANK, PROJECT_RANK, code_rank
from opportune.web.rendering.environment import TemplateContext

MAX_SQL_LENGTH = 4_000
MAX_VALUE_BYTES = 2_000
"""Size up to which the values of a statement are kept for EXPLAIN."""
MAX_CODE_LENGTH = 200
MAX_MESSAGE_LENGTH = 500
MAX_SUBJECT_LENGTH = 200
STATEMENT_KEY = "request_panel_statement"
"""Attribute of an execution context with the record of its statement."""
TAB = "request_panel/tab.html"
"""Template of the panel itself, which is not recorded."""
DATABASE_CODE = str(FRAMEWORK / "db")
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
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
    statement = Statement(
        sql=mask.sql(sql)[:MAX_SQL_LENGTH],
        original="",
        parameters=None,
        values={"rows": str(len(rows))} if is_many else mask.values(rows[0]),
        line=line,
        code=mask.text(code, MAX_CODE_LENGTH),
        fingerprint=id(context),
        started=perf_counter(),
    )
    if not is_many and len(sql) <= MAX_SQL_LENGTH and _size(parameters) <= MAX_VALUE_BYTES:
        statement.original = sql
        statement.parameters = parameters
        statement.fingerprint = hash((sql, repr(parameters)))
    return statement


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


async def query_plan(database: Database, statement: Statement) -> list[str]:
    """Return the plan of a query, without running it."""
    async with database.reader() as session:
        connection = await session.connection()
        prefix = EXPLAIN[connection.dialect.name]
        result = await connection.exec_driver_sql(f"{prefix} {statement.original}", statement.parameters)
        return _plan_lines([tuple(row) for row in result])


def _plan_lines(rows: list[tuple[Any, ...]]) -> list[str]:
    """Return the lines of a plan. SQLite's rows are id, id of the parent, unused, and text."""
    depths = {0: -1}
    lines = []
    for row in rows:
        if len(row) == 4:
            depths[row[0]] = depths.get(row[1], -1) + 1
            lines.append("  " * depths[row[0]] + row[3])
        else:
            lines.append(row[0])
    return lines


class PanelHandler(logging.Handler):
    def __init__(self, mask: PanelMask) -> None:
        super().__init__()
        self.mask = mask

    def emit(self, record: logging.LogRecord) -> None:
        request = current_record()
        if request is None:
            return
        with suppress(Exception):  # wrong arguments of a message, which the other handlers report
            error = f" ({record.exc_info[0].__name__})" if record.exc_info and record.exc_info[0] else ""
            message = self.mask.text(record.getMessage() + error, MAX_MESSAGE_LENGTH)
            request.log.add(LogLine(perf_counter() - request.started, record.levelname, record.name, message))


@contextmanager
def recorded_logs(mask: PanelMask) -> Iterator[None]:
    """Record the log lines of requests until the block ends."""
    handler = PanelHandler(mask)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class QueuedJobs(Observer):
    def __init__(self, mask: PanelMask) -> None:
        self.mask = mask

    def job_queued(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Record the name of a job, or recipient and subject of an e-mail. Arguments may contain secrets."""
        if record := current_record():
            if name == SEND_EMAIL:
                email = EmailMessage.from_json(arguments[0])
                record.emails.add(f"{email.recipients}: {self.mask.text(email.subject, MAX_SUBJECT_LENGTH)}")
            else:
                record.jobs.add(name)


class RecordedContext(TemplateContext):
    """Context of a template, recorded when rendering begins."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        record = current_record()
        if record and self.name and self.name != TAB and len(record.templates) < MAX_ENTRIES:
            record.templates[self.name, public_names(set(self.parent) - self.globals_keys)] += 1


@contextmanager
def recorded_templates(environment: Environment) -> Iterator[None]:
    """Record the templates that requests render until the block ends."""
    before, join = environment.context_class, environment.concat
    depth = 0

    def concat(parts: Iterable[str]) -> str:
        """Join the parts, which renders them. Macros and blocks inside call it again."""
        nonlocal depth
        started = perf_counter()
        depth = depth + 1
        try:
            return join(parts)
        finally:
            depth -= 1
            record = current_record()
            if record and not depth:
                record.template_seconds += perf_counter() - started

    environment.context_class, environment.concat = RecordedContext, concat  # type: ignore[method-assign]
    try:
        yield
    finally:
        environment.context_class, environment.concat = before, join  # type: ignore[method-assign]
