"""Metrics at `/metrics`, of one worker and of all workers of a server."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from prometheus_client.parser import text_string_to_metric_families as parse
from pydantic import SecretStr

from opportune.config import LlmModel, Settings, installed_features
from opportune.config.base_settings import read_class
from opportune.contrib.llm import Done, FakeProvider, LlmError
from opportune.contrib.telemetry.prometheus import Counter, render_families
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.contrib.telemetry.workers import Workers
from opportune.errors import SettingsError
from opportune.feature import Feature, Jobs
from opportune.jobs import JobContext, job
from opportune.server.workers import WORKERS_VARIABLE, create_worker_group
from opportune.services.observers import observers
from opportune.testing.app import create_test_app
from opportune.testing.factories import make_user, signed_in_client

SITE = "http://testserver"
TOKEN = "a token of the tests, long enough"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MODEL = LlmModel(
    name="Fast",
    model="x/fast",
    base_url="http://127.0.0.1:1/v1",
    price_per_million_prompt_tokens=Decimal(1),
    price_per_million_answer_tokens=Decimal(2),
)


class Samples:
    """All samples of a response, parsed by Prometheus' client."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in parse(text) for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        samples = [sample for sample in self.samples if sample.name == name]
        values = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
        return values[0] if len(values) == 1 else None

    def labels(self, label: str) -> set[str]:
        return {sample.labels[label] for sample in self.samples if label in sample.labels}


@job("telemetry.succeeding")
async def succeeding(_run: JobContext) -> None: ...


@job("telemetry.failing", attempts=1)
async def failing(_run: JobContext) -> None:
    raise ValueError("no")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    settings = settings.model_copy(update={"llm_models": [MODEL]})
    settings = settings.having(TelemetrySettings(metrics_token=SecretStr(TOKEN)))
    feature = Feature("telemetry_jobs", "Jobs to be counted.", jobs=Jobs([succeeding, failing]))
    app = create_test_app(settings, (*installed_features(), feature), runs_jobs=True)
    async with app.router.lifespan_context(app):
        yield app


async def read_metrics(client: AsyncClient, query: str = "") -> Samples:
    response = await client.get(f"/metrics{query}", headers=BEARER)
    assert response.status_code == 200, response.text
    return Samples(response.text)


async def test_metrics_are_off_without_a_token(settings: Settings) -> None:
    app = create_test_app(settings)
    async with app.router.lifespan_context(app), AsyncClient(transport=ASGITransport(app), base_url=SITE) as client:
        assert (await client.get("/metrics", headers=BEARER)).status_code == 404
        assert not observers


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {TOKEN}x"}])
async def test_request_without_the_token_is_refused_and_logged(
    client: AsyncClient, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "opportune.request")
    response = await client.get("/metrics", headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    await client.get("/metrics", headers=BEARER)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "opportune.request"]
    assert line.startswith("GET /metrics 401")
    assert TOKEN not in caplog.text


def test_short_token_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError, match=r"^METRICS_TOKEN: must have 20 or more") as caught:
        read_class(TelemetrySettings, metrics_token="guessable")
    assert "guessable" not in str(caught.value)


async def test_requests_are_counted_by_route(app: FastAPI, client: AsyncClient) -> None:
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as admin:
        await admin.get("/admin/user/list")
    for path in ("/", "/accounts/login?next=/secret", "/static/site.css", "/no/such/7", "/admin/user/details/7"):
        await client.get(path)
    await client.request("BREW", "/accounts/login")
    samples = await read_metrics(client)
    for labels in (
        {"method": "GET", "route": "/accounts/login", "status": "200", "worker": "0"},
        {"route": "/static", "status": "200"},
        {"route": "none", "status": "404"},
        {"route": "/admin", "status": "303"},  # anonymous users do not see admin routes
        {"route": "/admin/{identity}/list", "status": "200"},
        {"method": "other", "route": "/accounts/login"},
    ):
        assert samples.value("http_requests_total", **labels) == 1, labels
    login = {"method": "GET", "route": "/accounts/login"}
    assert samples.value("http_request_duration_seconds_count", **login) == 1
    assert samples.value("http_request_duration_seconds_bucket", **login, le="+Inf") == 1
    assert samples.value("http_requests_in_flight") == 1, "the request of /metrics"
    assert not any("secret" in route or "7" in route for route in samples.labels("route"))


async def test_model_calls_count_tokens_and_cost(app: FastAPI, client: AsyncClient) -> None:
    scripts: Any = ["Hello", Done(10_000, 5_000)], [LlmError("rejected", "No.")]
    app.state.llm.provider = FakeProvider.in_turn(*scripts)
    await app.state.llm.complete("Say hello")
    with pytest.raises(LlmError):
        await app.state.llm.complete("Say more")
    samples = await read_metrics(client)
    assert samples.value("opportune_llm_calls_total", model="Fast", outcome="ok") == 1
    assert samples.value("opportune_llm_calls_total", model="Fast", outcome="rejected") == 1
    assert samples.value("opportune_llm_tokens_total", model="Fast", kind="prompt") == 10_000
    assert samples.value("opportune_llm_tokens_total", model="Fast", kind="completion") == 5_000
    assert samples.value("opportune_llm_cost_total", model="Fast") == pytest.approx(0.02)
    assert samples.value("opportune_llm_time_to_first_token_seconds_count", model="Fast") == 1


async def test_metrics_work_in_an_outage(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_timeout(**_: object) -> object:
        raise TimeoutError

    monkeypatch.setattr(app.state.database, "reader", raise_timeout)
    samples = await read_metrics(client)
    assert samples.value("opportune_database_up") == 0
    assert samples.value("process_resident_memory_bytes")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
async def test_each_worker_reports_all_workers(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKERS_VARIABLE, "")
    create_worker_group(3)
    workers = [Workers(app.state) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker.listening())
        assert [worker.number for worker in workers] == [0, 1, 2]
        assert [report.worker for report in await workers[1].reports()] == [0, 1, 2]
        successor = Workers(app.state)
        async with successor.listening():
            assert len(await workers[1].reports()) == 4, "a new worker starts before the old one ends"
        app.state.workers = workers[2]
        async with AsyncClient(transport=ASGITransport(app), base_url=SITE) as client:
            samples = await read_metrics(client)
        assert samples.labels("worker") == {"0", "1", "2"}
    assert [report.worker for report in await workers[0].reports()] == [0], "the other workers have ended"
    replacement = Workers(app.state)
    async with replacement.listening():
        assert replacement.number == 0, "takes over the free number"


def test_labels_are_escaped() -> None:
    counter = Counter("c", "Help.", "label")
    counter.add('"\\\n')
    (family,) = parse(render_families([counter.family()]))
    assert family.samples[0].labels == {"label": '"\\\n'}
