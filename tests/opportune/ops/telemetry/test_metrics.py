"""`/metrics`: who may read it, and what it tells."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from prometheus_client.parser import text_string_to_metric_families as parse
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.llm_models import LlmModel
from opportune.config.project import installed_features
from opportune.config.settings import Settings, load_settings
from opportune.errors import SettingsError
from opportune.feature import Feature, Gauge
from opportune.jobs import JobContext, job
from opportune.jobs.models import JobState
from opportune.llm import Done, FakeProvider, LLMError
from opportune.ops.telemetry.metrics.families import MAX_SERIES, Counter, Histogram, text_of
from opportune.ops.telemetry.process import WORKERS_VARIABLE, form_group
from opportune.ops.telemetry.workers import Workers
from opportune.runtime.observers import observers
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.quiet_app import quiet_app

pytestmark = pytest.mark.database("sqlite")

TOKEN = "a token of the tests, long enough"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MODEL = LlmModel(
    name="Fast",
    model="x/fast",
    base_url="http://127.0.0.1:1/v1",
    price_per_million_prompt_tokens=Decimal(1),
    price_per_million_answer_tokens=Decimal(2),
)

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


@job("telemetry.well")
async def well(_run: JobContext) -> None: ...


@job("telemetry.badly", attempts=1)
async def badly(_run: JobContext) -> None:
    raise ValueError("no")


@pytest.fixture
async def measured(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with METRICS_TOKEN, and a model that has a price."""
    given = {"metrics_token": SecretStr(TOKEN), "llm_models": [MODEL]}
    feature = Feature(name="telemetry_jobs", summary="Jobs to be counted.", jobs=[well, badly])
    app = quiet_app(settings.model_copy(update=given), (*installed_features(), feature))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def visitor(measured: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(measured), base_url="http://testserver") as client:
        yield client


async def numbers(visitor: AsyncClient, query: str = "") -> Numbers:
    """Every sample, as Prometheus' own parser reads it."""
    response = await visitor.get(f"/metrics{query}", headers=BEARER)
    assert response.status_code == 200, response.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(response.text)
        for sample in family.samples
    }


def at(found: Numbers, name: str, **labels: str) -> float | None:
    """The one sample that has at least these labels."""
    hits = [value for (each, own), value in found.items() if each == name and labels.items() <= dict(own).items()]
    return hits[0] if len(hits) == 1 else None


async def test_without_a_token_in_the_settings_there_is_no_such_address(app: FastAPI, client: AsyncClient) -> None:
    assert (await client.get("/metrics", headers=BEARER)).status_code == 404
    assert not observers, "nobody is told of anything"


@pytest.mark.parametrize(
    "sent",
    [{}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"}],
)
async def test_others_are_told_to_send_the_token_and_logged(
    visitor: AsyncClient, sent: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "opportune.request")
    response = await visitor.get("/metrics", headers=sent)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    await visitor.get("/metrics", headers=BEARER)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "opportune.request"]
    assert line.startswith("GET /metrics 401")
    assert TOKEN not in caplog.text


def test_a_short_token_is_refused_in_one_line_without_showing_it() -> None:
    with pytest.raises(SettingsError, match=r"^METRICS_TOKEN: must be 20 characters") as caught:
        load_settings(metrics_token="guessable")
    assert "guessable" not in str(caught.value)


async def test_requests_are_counted_by_the_template_of_their_route(measured: FastAPI, visitor: AsyncClient) -> None:
    async with signed_in_client(measured, await make_user(measured.state.database, is_superuser=True)) as admin:
        await admin.get("/admin/user/list")
    for path in ("/", "/accounts/login?next=/secret", "/static/site.css", "/no/such/7", "/admin/user/details/7"):
        await visitor.get(path)
    await visitor.request("BREW", "/accounts/login")
    found = await numbers(visitor)

    assert at(found, "http_requests_total", method="GET", route="/accounts/login", status="200", worker="0") == 1
    assert at(found, "http_requests_total", route="/static", status="200") == 1
    assert at(found, "http_requests_total", route="none", status="404") == 1
    assert at(found, "http_requests_total", route="/admin", status="303") == 1, "who is not in learns of no page"
    assert at(found, "http_requests_total", route="/admin/{identity}/list", status="200") == 1
    assert at(found, "http_requests_total", method="other", route="/accounts/login") == 1
    assert at(found, "http_request_duration_seconds_count", method="GET", route="/accounts/login") == 1
    assert at(found, "http_request_duration_seconds_bucket", method="GET", route="/accounts/login", le="+Inf") == 1
    assert at(found, "http_requests_in_flight") == 1, "the one that asks"
    assert not any(
        "secret" in value or "7" in value for _, labels in found for name, value in labels if name == "route"
    )


async def test_the_process_its_pools_and_what_runs_are_told(visitor: AsyncClient) -> None:
    found = await numbers(visitor)
    assert (at(found, "process_resident_memory_bytes", worker="0") or 0) > 10_000_000
    assert at(found, "opportune_database_up") == 1
    assert at(found, "opportune_database_connections_in_use", pool="writer") == 0
    assert at(found, "opportune_database_connections_max", pool="writer") == 1
    assert at(found, "opportune_database_waiting", pool="reader") == 0
    assert at(found, "opportune_info", environment="test") == 1
    assert "opportune_database_up" not in {name for name, _ in await numbers(visitor, "?database=false")}


async def test_who_waits_for_a_connection_is_counted(measured: FastAPI, visitor: AsyncClient) -> None:
    async def write() -> None:
        async with measured.state.database.writer() as session:
            await session.connection()

    async with measured.state.database.writer() as session:
        await session.connection()
        waiting = asyncio.create_task(write())
        for _ in range(100):
            found = await numbers(visitor)
            if at(found, "opportune_database_waiting", pool="writer") == 1:
                break
        assert at(found, "opportune_database_waiting", pool="writer") == 1
        assert at(found, "opportune_database_connections_in_use", pool="writer") == 1
    await waiting


async def test_calls_of_models_tell_tokens_cost_time_and_their_end(measured: FastAPI, visitor: AsyncClient) -> None:
    measured.state.llm.provider = FakeProvider.in_turn(
        ["Hello", Done(prompt_tokens=10_000, completion_tokens=5_000)], [LLMError("rejected", "No.")]
    )
    await measured.state.llm.complete("Say hello")
    with pytest.raises(LLMError):
        await measured.state.llm.complete("Say more")
    found = await numbers(visitor)

    assert at(found, "opportune_llm_calls_total", model="Fast", outcome="ok") == 1
    assert at(found, "opportune_llm_calls_total", model="Fast", outcome="rejected") == 1
    assert at(found, "opportune_llm_tokens_total", model="Fast", kind="prompt") == 10_000
    assert at(found, "opportune_llm_tokens_total", model="Fast", kind="completion") == 5_000
    assert at(found, "opportune_llm_cost_total", model="Fast") == pytest.approx(0.02)
    assert at(found, "opportune_llm_time_to_first_token_seconds_count", model="Fast") == 1


async def test_jobs_are_counted_by_state_and_by_how_their_attempts_end(measured: FastAPI, visitor: AsyncClient) -> None:
    jobs = measured.state.jobs
    assert await jobs.finished(await jobs.enqueue(well())) is JobState.DONE
    assert await jobs.finished(await jobs.enqueue(badly())) is JobState.FAILED
    found = await numbers(visitor)

    assert at(found, "opportune_jobs", state="failed") == 1
    assert at(found, "opportune_job_attempts_total", job="telemetry.well", outcome="ok") == 1
    assert at(found, "opportune_job_attempts_total", job="telemetry.badly", outcome="error") == 1
    assert at(found, "opportune_job_oldest_due_seconds") == 0


async def test_a_database_that_is_away_takes_none_of_the_rest_along(
    measured: FastAPI, visitor: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> object:
        raise TimeoutError

    monkeypatch.setattr(measured.state.database, "reader", away)
    found = await numbers(visitor)
    assert at(found, "opportune_database_up") == 0
    assert at(found, "process_resident_memory_bytes")


@pytest.fixture
def group(measured: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """A site that is alone, and the name of a group from then on."""
    monkeypatch.setenv(WORKERS_VARIABLE, "")
    form_group(3)
    return measured


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Windows' workers tell of themselves alone")
async def test_whichever_worker_is_asked_tells_of_all(group: FastAPI) -> None:
    workers = [Workers(group.state) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for each in workers:
            await stack.enter_async_context(each.listening())
        assert [each.number for each in workers] == [0, 1, 2]
        assert [report.worker for report in await workers[1].reports()] == [0, 1, 2]
        successor = Workers(group.state)
        async with successor.listening():
            assert len(await workers[1].reports()) == 4, "one that is to take another's place is there before that ends"
        group.state.workers = workers[2]
        async with AsyncClient(transport=ASGITransport(group), base_url="http://testserver") as client:
            found = await numbers(client)
        told = {dict(labels)["worker"] for name, labels in found if name == "process_start_time_seconds"}
        assert told == {"0", "1", "2"}
    assert [report.worker for report in await workers[0].reports()] == [0], "the others have ended"
    again = Workers(group.state)
    async with again.listening():
        assert again.number == 0, "who takes the place of another has its number"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Windows' workers tell of themselves alone")
@pytest.mark.parametrize("told", ['{"worker": 0, "pid"', '{"worker": 0, "families": [], "of_a_later_version": 1}'])
async def test_a_worker_that_ends_in_mid_word_or_is_of_another_version_keeps_none_from_telling(
    group: FastAPI, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    other, asked = Workers(group.state), Workers(group.state)
    async with other.listening(), asked.listening():
        monkeypatch.setattr("opportune.ops.telemetry.workers.json.dumps", lambda _: told)
        assert [report.worker for report in await asked.reports()] == [1]


def test_labels_that_strangers_could_make_up_are_bounded_and_escaped() -> None:
    counter, histogram = Counter("c", "Words.", "who"), Histogram("h", "Words.", "who", bounds=(1,))
    for number in range(MAX_SERIES + 5):
        counter.add(f'"{number}\\\n')
        histogram.observe(str(number), value=number)
    families = {family.name: family for family in parse(text_of([counter.family(), histogram.family()]))}
    assert len(families["c"].samples) == MAX_SERIES + 1
    assert families["c"].samples[0].labels == {"who": '"0\\\n'}
    assert [sample.value for sample in families["c"].samples if sample.labels["who"] == "other"] == [5]


async def test_gauges_of_features_are_read_at_each_scrape(measured: FastAPI, visitor: AsyncClient) -> None:
    shelves = [2, 3]

    async def read(_session: AsyncSession) -> list[Gauge]:
        return [Gauge("books_on_shelves", "Books.", [({"shelf": "top"}, shelves.pop())])]

    measured.state.features = [*measured.state.features, Feature(name="books", summary="", gauges=read)]
    assert at(await numbers(visitor), "books_on_shelves", shelf="top") == 3
    assert at(await numbers(visitor), "books_on_shelves", shelf="top") == 2


async def test_answers_are_counted_by_state(visitor: AsyncClient) -> None:
    sent = await numbers(visitor)
    assert [at(sent, "opportune_answers", state=state) for state in ("running", "waiting")] == [0, 0]
