from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, Request
from httpx2 import ASGITransport, AsyncClient
from opentelemetry import metrics, trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config import Settings, installed_features
from opportune.contrib.llm import Done, FakeProvider
from opportune.contrib.telemetry import setup
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.db import WriteSession
from opportune.errors import SettingsError
from opportune.feature import Feature, Jobs
from opportune.jobs import JobContext, defer, job
from opportune.jobs.models import JobState
from opportune.testing.app import create_test_app
from tests.opportune.contrib.telemetry.sink import Sink

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Sink:
    # The providers are global: the sites of other tests would be traced.
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _: None)
    monkeypatch.setattr(metrics, "set_meter_provider", lambda _: None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "the-site")
    return sink


def spans_of(sink: Sink) -> dict[str, Any]:
    """Return the spans by name, the last of several with the same name."""
    requests = [ExportTraceServiceRequest.FromString(body) for path, body in sink.bodies if path == "/v1/traces"]
    scopes = [scope for request in requests for spans in request.resource_spans for scope in spans.scope_spans]
    return {span.name: span for scope in scopes for span in scope.spans}


def metrics_of(sink: Sink) -> set[str]:
    requests = [ExportMetricsServiceRequest.FromString(body) for path, body in sink.bodies if path == "/v1/metrics"]
    scopes = [scope for request in requests for sent in request.resource_metrics for scope in sent.scope_metrics]
    return {metric.name for scope in scopes for metric in scope.metrics}


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@job("traces.later")
async def later(run: JobContext) -> None:
    async with run.database.reader() as session:
        await session.execute(select(User).where(col(User.email) == "in-the-job@example.com"))


def routes(other_server: str) -> APIRouter:
    router = APIRouter()

    @router.post("/traced/{name}")
    async def traced(name: str, request: Request, session: WriteSession) -> None:
        await session.execute(select(User).where(col(User.email) == f"{name}@example.com"))
        await request.app.state.llm.complete("a private question")
        async with httpx2.AsyncClient() as client:
            await client.get(f"{other_server}/secret-key?token=hidden")
        defer(session, later())

    return router


async def test_spans_contain_nothing_private(settings: Settings, collector: Sink) -> None:
    settings = settings.model_copy(update={"trusted_proxies": "10.0.0.1"})
    settings = settings.having(TelemetrySettings(otel_exporter_otlp_endpoint=collector.url))
    feature = Feature("traces", "To be traced.", pages=routes(collector.url), jobs=Jobs([later]))
    app = create_test_app(settings, (*installed_features(), feature), runs_jobs=True)
    async with app.router.lifespan_context(app):
        app.state.llm.provider = FakeProvider("a private answer", Done(prompt_tokens=11, completion_tokens=7))
        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            path, headers = "/traced/private-person?code=hidden", {"traceparent": TRACE, "cookie": "a=private-cookie"}
            assert (await client.post(path, headers=headers)).status_code == 200
            await client.get("/health/live")
            await client.request("MADE-UP", "/nowhere")
        assert await app.state.jobs.wait_until_ended("1") is JobState.DONE
    spans = spans_of(collector)
    request, work = spans["POST /traced/{name}"], spans["job traces.later"]
    assert request.trace_id.hex() == TRACE[3:35], "continues the proxy's trace"
    assert attributes(request)["http.response.status_code"] == 200
    assert [link.trace_id for link in work.links] == [request.trace_id]
    assert work.trace_id != request.trace_id, "a job may run days later"
    chat = attributes(spans[f"chat {app.state.llm.name}"])
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (11, 7)
    outgoing = attributes(spans["GET"])
    assert (outgoing["server.address"], outgoing["http.response.status_code"]) == ("127.0.0.1", 200)
    statement = spans["SELECT"]
    assert statement.trace_id in (request.trace_id, work.trace_id)
    assert "FROM accounts_user" in attributes(statement)["db.query.text"]
    assert not any("health" in name for name in spans)
    assert "_OTHER none" in spans, "clients cannot invent names"
    durations = {"http.server.request.duration", "opportune.job.duration"}
    assert durations | {"gen_ai.client.token.usage"} <= metrics_of(collector)
    assert b"the-site" in collector.text
    for private in (b"private", b"hidden", b"in-the-job", b"secret-key"):
        assert private not in collector.text, private


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL: set it to http/protobuf"),
        ("", "", "OTEL_EXPORTER_OTLP_ENDPOINT needs .* SDK. Install it: python3 oppman.py install telemetry"),
    ],
)
def test_missing_requirement_is_reported_at_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    if variable:
        monkeypatch.setenv(variable, value)
    else:
        monkeypatch.setattr(setup, "EXPORTER", "not-installed")
    with pytest.raises(SettingsError, match=line):
        create_test_app(settings.having(TelemetrySettings(otel_exporter_otlp_endpoint="http://127.0.0.1:1")))
