"""Traces and metrics with OpenTelemetry's SDK, which its environment variables `OTEL_…` configure.

Names and attributes follow OpenTelemetry's semantic conventions. They contain no query strings, values of statements,
messages, e-mail addresses or row ids.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.propagate import extract
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Tracer, set_span_in_context
from sqlalchemy.engine import Connection

from opportune import __version__
from opportune.config.settings import Settings
from opportune.contrib.telemetry.client_spans import mark_failed, traced_clients
from opportune.contrib.telemetry.process import flush_seconds, resident_memory_bytes, run_before_shutdown
from opportune.contrib.telemetry.routes import route_template
from opportune.db.database import Database
from opportune.services import observers
from opportune.services.trace_context import traceparent
from opportune.web.machine_paths import MACHINE_PATHS
from opportune.web.middleware.request_log import client_traceparent
from opportune.web.routing.root_path import path_below_root

MAX_FLUSH_SECONDS = 3.0
"""Maximum time to send pending spans and metrics at shutdown."""

UNTRACED = ("/static/",)
MAX_STATEMENT_LENGTH = 2_000
SPAN = "opportune_span"
"""Attribute of a statement's execution context."""


class Providers:
    """Tracer and meter, and the threads that send their data."""

    def __init__(self, settings: Settings) -> None:
        attributes = {"service.version": __version__, "deployment.environment.name": settings.environment}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            attributes["service.name"] = settings.site_name
        resource = Resource.create(attributes)
        self.traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
            self.traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        has_metrics = os.environ.get("OTEL_METRICS_EXPORTER") != "none"
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if has_metrics else []
        self.metrics = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self.tracer = self.traces.get_tracer("opportune", __version__)
        self.meter = self.metrics.get_meter("opportune", __version__)
        self.meter.create_observable_gauge(
            "process.memory.usage",
            [lambda _: [Observation(resident_memory_bytes())]],
            unit="By",
            description="Resident memory.",
        )

    def close(self) -> None:
        """Send pending spans and metrics."""
        self.traces.shutdown()
        self.metrics.shutdown()


class Tracing(observers.Observer):
    def __init__(self, providers: Providers, *, trusts_traces: bool) -> None:
        self.trusts_traces = trusts_traces
        self.tracer = providers.tracer
        meter = providers.meter
        self.requests = meter.create_histogram("http.server.request.duration", "s", "Duration of requests.")
        self.active = meter.create_up_down_counter("http.server.active_requests", "{request}", "Requests in progress.")
        self.tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}", "Tokens of model calls.")
        self.calls = meter.create_histogram("gen_ai.client.operation.duration", "s", "Duration of model calls.")
        self.jobs = meter.create_histogram("opportune.job.duration", "s", "Duration of attempts of jobs.")

    @contextmanager
    def request(self, request: observers.ObservedRequest) -> Iterator[None]:
        """Record a span, except for health checks and static files."""
        scope = request.scope
        path = path_below_root(scope)
        if path in MACHINE_PATHS or path.startswith(UNTRACED):
            yield
            return
        method = scope["method"] if scope["method"] in observers.KNOWN_METHODS else "_OTHER"
        attributes: dict[str, Any] = {"http.request.method": method, "url.scheme": scope["scheme"]}
        parent = parse_traceparent(client_traceparent(scope) if self.trusts_traces else "")
        span = self.tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        token = attach(set_span_in_context(span))
        header = traceparent.set(format_traceparent(span))
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
    def job(self, attempt: observers.JobAttempt) -> Iterator[None]:
        """Start a new trace with a link to the trace that queued the job."""
        origin = trace.get_current_span(parse_traceparent(attempt.traceparent)).get_span_context()
        attributes: dict[str, Any] = {"opportune.job.name": attempt.name}
        start = perf_counter()
        outcome = "ok"
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
    def llm_call(self, call: observers.LlmCall) -> Iterator[None]:
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
    return extract({"traceparent": header}, Context()) if header else Context()


def format_traceparent(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@asynccontextmanager
async def tracing(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Trace this process until the block ends, then send pending spans."""
    providers = Providers(settings)
    # Also exports spans that the project creates with `trace.get_tracer(__name__)`.
    trace.set_tracer_provider(providers.traces)
    metrics.set_meter_provider(providers.metrics)
    observer = Tracing(providers, trusts_traces=bool(settings.trusted_proxies))
    try:
        with (
            traced_statements(database, observer.tracer),
            traced_clients(observer.tracer),
            observers.observed_by(observer),
        ):
            yield
    finally:
        await run_before_shutdown(providers.close, flush_seconds(MAX_FLUSH_SECONDS))


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
