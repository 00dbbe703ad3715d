"""Spans and metrics of requests, jobs and model calls.

Names and attributes follow OpenTelemetry's semantic conventions. They contain no query strings, values of statements,
messages, e-mail addresses or row ids.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import extract
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, set_span_in_context

from opportune.contrib.telemetry.routes import METHODS, route_template
from opportune.contrib.telemetry.traces.providers import Providers
from opportune.services.observers import JobAttempt, LlmCall, ObservedRequest, Observer, traceparent
from opportune.web.endpoints.health import MACHINE_PATHS
from opportune.web.middleware.request_log import client_traceparent

UNTRACED = ("/static/",)


class Tracing(Observer):
    def __init__(self, providers: Providers, *, trusts_traces: bool) -> None:
        self.trusts_traces = trusts_traces
        self.tracer, meter = providers.tracer, providers.meter
        self.requests = meter.create_histogram("http.server.request.duration", "s", "Duration of requests.")
        self.active = meter.create_up_down_counter("http.server.active_requests", "{request}", "Requests in progress.")
        self.tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}", "Tokens of model calls.")
        self.calls = meter.create_histogram("gen_ai.client.operation.duration", "s", "Duration of model calls.")
        self.jobs = meter.create_histogram("opportune.job.duration", "s", "Duration of attempts of jobs.")

    @contextmanager
    def request(self, request: ObservedRequest) -> Iterator[None]:
        """Record a span, except for health checks and static files."""
        scope = request.scope
        if scope["path"] in MACHINE_PATHS or scope["path"].startswith(UNTRACED):
            yield
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        attributes: dict[str, Any] = {"http.request.method": method, "url.scheme": scope["scheme"]}
        parent = parse_traceparent(client_traceparent(scope) if self.trusts_traces else "")
        span = self.tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        token, header = attach(set_span_in_context(span)), traceparent.set(format_traceparent(span))
        start = perf_counter()
        self.active.add(1, attributes)
        try:
            yield
        finally:
            self.active.add(-1, attributes)
            traceparent.reset(header)
            detach(token)
            route = route_template(scope)
            result = attributes | {"http.route": route, "http.response.status_code": request.status}
            span.update_name(f"{method} {route}")
            span.set_attributes(result)
            if request.status == 0 or request.status >= 500:
                mark_failed(span, str(request.status or "cut"))
            span.end()
            self.requests.record(perf_counter() - start, result)

    @contextmanager
    def job(self, attempt: JobAttempt) -> Iterator[None]:
        """Start a new trace with a link to the trace that queued the job."""
        origin = trace.get_current_span(parse_traceparent(attempt.traceparent)).get_span_context()
        attributes: dict[str, Any] = {"opportune.job.name": attempt.name}
        start, outcome = perf_counter(), "ok"
        span = self.tracer.start_span(
            f"job {attempt.name}",
            Context(),
            SpanKind.CONSUMER,
            attributes | {"opportune.job.id": attempt.id, "opportune.job.attempt": attempt.number},
            [Link(origin)] if origin.is_valid else [],
        )
        traceparent.set(format_traceparent(span))
        token = attach(set_span_in_context(span))
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            outcome = type(error).__name__
            mark_failed(span, outcome)
            raise
        finally:
            detach(token)
            span.end()
            self.jobs.record(perf_counter() - start, attributes | {"opportune.job.outcome": outcome})

    @contextmanager
    def llm_call(self, call: LlmCall) -> Iterator[None]:
        """Record a span without making it current: another task may end it."""
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": call.endpoint_model or call.model}
        span = self.tracer.start_span(f"chat {call.model}", kind=SpanKind.CLIENT, attributes=attributes)
        start = perf_counter()
        try:
            yield
        finally:
            if call.error and call.error != "stopped":
                mark_failed(span, call.error)
                attributes = attributes | {"error.type": call.error}
            span.set_attribute("gen_ai.usage.input_tokens", call.prompt_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", call.completion_tokens)
            if call.first_chunk_seconds is not None:
                span.set_attribute("gen_ai.response.time_to_first_chunk", call.first_chunk_seconds)
            span.end()
            self.calls.record(perf_counter() - start, attributes)
            for type_, tokens in (("input", call.prompt_tokens), ("output", call.completion_tokens)):
                self.tokens.record(tokens, attributes | {"gen_ai.token.type": type_})


def parse_traceparent(header: str) -> Context:
    """Parse a `traceparent` header."""
    return extract({"traceparent": header}, Context()) if header else Context()


def format_traceparent(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def mark_failed(span: Span, error_type: str) -> None:
    """Set the type of an error without its message, which can contain user input."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
