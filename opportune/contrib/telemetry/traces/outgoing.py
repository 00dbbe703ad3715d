"""Spans of outgoing httpx2 requests, inside requests and jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Tracer

from opportune.contrib.telemetry.traces.tracing import mark_failed


@contextmanager
def traced_clients(tracer: Tracer) -> Iterator[None]:
    """Trace requests of all httpx2 clients inside the block. URLs are not recorded, because they can contain keys."""
    send, send_blocking = httpx2.AsyncHTTPTransport.handle_async_request, httpx2.HTTPTransport.handle_request

    async def handle_async_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        with _span(tracer, request) as record_response:
            return record_response(await send(self, request))

    def handle_request(self: Any, request: httpx2.Request) -> httpx2.Response:
        with _span(tracer, request) as record_response:
            return record_response(send_blocking(self, request))

    httpx2.AsyncHTTPTransport.handle_async_request = handle_async_request  # type: ignore[method-assign]
    httpx2.HTTPTransport.handle_request = handle_request  # type: ignore[method-assign]
    try:
        yield
    finally:
        httpx2.AsyncHTTPTransport.handle_async_request = send  # type: ignore[method-assign]
        httpx2.HTTPTransport.handle_request = send_blocking  # type: ignore[method-assign]


@contextmanager
def _span(tracer: Tracer, request: httpx2.Request) -> Iterator[Callable[[httpx2.Response], httpx2.Response]]:
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
