"""Spans of requests that the site sends. They contain no URLs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer


@contextmanager
def traced_clients(tracer: Tracer) -> Iterator[None]:
    """Trace requests of all httpx2 clients inside the block. URLs are not recorded, because they can contain keys."""
    send = httpx2.AsyncHTTPTransport.handle_async_request
    send_blocking = httpx2.HTTPTransport.handle_request

    async def handle_async_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        with _client_span(tracer, request) as span:
            response = await send(self, request)
            _record_status(span, response)
            return response

    def handle_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        with _client_span(tracer, request) as span:
            response = send_blocking(self, request)
            _record_status(span, response)
            return response

    httpx2.AsyncHTTPTransport.handle_async_request = handle_async_request  # type: ignore[method-assign]
    httpx2.HTTPTransport.handle_request = handle_request  # type: ignore[method-assign]
    try:
        yield
    finally:
        httpx2.AsyncHTTPTransport.handle_async_request = send  # type: ignore[method-assign]
        httpx2.HTTPTransport.handle_request = send_blocking  # type: ignore[method-assign]


@contextmanager
def _client_span(tracer: Tracer, request: httpx2.Request) -> Iterator[Span]:
    """Open the span of a request, which records nothing outside of a recorded span."""
    if not trace.get_current_span().is_recording():
        yield trace.INVALID_SPAN
        return
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "server.address": request.url.host,
        "server.port": request.url.port or (443 if request.url.scheme == "https" else 80),
    }
    span = tracer.start_span(request.method, kind=SpanKind.CLIENT, attributes=attributes)
    try:
        yield span
    except Exception as error:
        mark_failed(span, type(error).__name__)
        raise
    finally:
        span.end()


def _record_status(span: Span, response: httpx2.Response) -> None:
    span.set_attribute("http.response.status_code", response.status_code)
    if response.is_error:
        mark_failed(span, str(response.status_code))


def mark_failed(span: Span, error_type: str) -> None:
    """Set the type of an error without its message, which can contain user input."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
