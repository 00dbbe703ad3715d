"""Spans of requests that the site sends, and of its statements. They contain no URLs and no values of statements."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from sqlalchemy.engine import Connection

from opportune.db.database import Database

MAX_STATEMENT_LENGTH = 2_000
SPAN = "opportune_span"
"""Attribute of a statement's execution context."""


@contextmanager
def traced_clients(tracer: Tracer) -> Iterator[None]:
    """Trace requests of all httpx2 clients inside the block. URLs are not recorded, because they can contain keys."""
    send, send_blocking = httpx2.AsyncHTTPTransport.handle_async_request, httpx2.HTTPTransport.handle_request

    async def handle_async_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        with _client_span(tracer, request) as record_response:
            return record_response(await send(self, request))

    def handle_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        with _client_span(tracer, request) as record_response:
            return record_response(send_blocking(self, request))

    httpx2.AsyncHTTPTransport.handle_async_request = handle_async_request  # type: ignore[method-assign]
    httpx2.HTTPTransport.handle_request = handle_request  # type: ignore[method-assign]
    try:
        yield
    finally:
        httpx2.AsyncHTTPTransport.handle_async_request = send  # type: ignore[method-assign]
        httpx2.HTTPTransport.handle_request = send_blocking  # type: ignore[method-assign]


@contextmanager
def _client_span(tracer: Tracer, request: httpx2.Request) -> Iterator[Callable[[httpx2.Response], httpx2.Response]]:
    if not trace.get_current_span().is_recording():
        yield lambda response: response
        return
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "server.address": request.url.host,
        "server.port": port,
    }
    span = tracer.start_span(request.method, kind=SpanKind.CLIENT, attributes=attributes)

    def record_response(response: httpx2.Response) -> httpx2.Response:
        span.set_attribute("http.response.status_code", response.status_code)
        if response.is_error:
            mark_failed(span, str(response.status_code))
        return response

    try:
        yield record_response
    except Exception as error:
        mark_failed(span, type(error).__name__)
        raise
    finally:
        span.end()


def traced_statements(database: Database, tracer: Tracer) -> AbstractContextManager[None]:
    """Trace the statements of this database until the block ends, without their values."""
    system = database.engine.dialect.name

    def start(_connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        if trace.get_current_span().is_recording():
            operation = statement.lstrip().partition(" ")[0].upper()[:20]
            attributes = {
                "db.system.name": system,
                "db.operation.name": operation,
                "db.query.text": statement[:MAX_STATEMENT_LENGTH],
            }
            setattr(context, SPAN, tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=attributes))

    def end(_connection: Connection, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        if span := getattr(context, SPAN, None):
            span.end()

    def fail(context: Any) -> None:
        if span := getattr(context.execution_context, SPAN, None):
            mark_failed(span, type(context.original_exception).__name__)
            span.end()

    return database.listened_to_by({"before_cursor_execute": start, "after_cursor_execute": end, "handle_error": fail})


def mark_failed(span: Span, error_type: str) -> None:
    """Set the type of an error without its message, which can contain user input."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
