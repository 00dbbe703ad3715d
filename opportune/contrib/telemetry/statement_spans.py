"""Spans of SQL statements, without their values."""

from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Tracer
from sqlalchemy.engine import Connection

from opportune.contrib.telemetry.client_spans import mark_failed
from opportune.db.database import Database

MAX_STATEMENT_LENGTH = 2_000
SPAN = "opportune_span"
"""Attribute of a statement's execution context."""


def traced_statements(database: Database, tracer: Tracer) -> AbstractContextManager[None]:
    """Trace the statements of this database until the block ends."""
    system = database.engine.dialect.name

    def start(_connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        if trace.get_current_span().is_recording():
            operation = statement.lstrip().partition(" ")[0].upper()[:20]
            text = statement[:MAX_STATEMENT_LENGTH]
            attributes = {"db.system.name": system, "db.operation.name": operation, "db.query.text": text}
            setattr(context, SPAN, tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=attributes))

    def end(_connection: Connection, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        if span := getattr(context, SPAN, None):
            span.end()

    def fail(context: Any) -> None:
        if span := getattr(context.execution_context, SPAN, None):
            mark_failed(span, type(context.original_exception).__name__)
            span.end()

    return database.listened_to_by({"before_cursor_execute": start, "after_cursor_execute": end, "handle_error": fail})
