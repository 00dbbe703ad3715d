"""JOBS=request: jobs after responses, and by calls of a cron service."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.jobs import JobContext, job
from opportune.jobs import worker as worker_module
from opportune.jobs.checks import check_jobs, check_schedules
from opportune.jobs.models import JobState
from opportune.jobs.requests import RequestWork, run_url
from opportune.testing.app import create_test_app
from tests.opportune.jobs.conftest import TIMEOUT_SECONDS, Emails, Find, MakeQueue, expire_leases
from tests.opportune.jobs.tasks import gate, register, wait
from tests.opportune.waiting import wait_until


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"jobs": "request", "base_url": "https://site.example"})


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_test_app(settings)
    app.state.jobs.jobs[register.name] = register
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def visitor(site: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(site), base_url="https://site.example") as client:
        yield client


async def wait_until_idle(work: RequestWork) -> None:
    if work._task:
        await asyncio.wait([work._task], timeout=TIMEOUT_SECONDS)


async def test_due_job_runs_after_a_response(site: FastAPI, visitor: AsyncClient, emails: Emails) -> None:
    jobs = site.state.jobs
    await jobs.enqueue(register("ada@example.com"))
    assert await emails() == []
    await visitor.get("/robots.txt")
    await wait_until_idle(jobs.request_work)
    assert await emails() == ["ada@example.com"]


async def test_health_check_runs_no_jobs(site: FastAPI, visitor: AsyncClient) -> None:
    await site.state.jobs.enqueue(register("ada@example.com"))
    assert (await visitor.get("/health/live")).status_code == 200
    assert site.state.jobs.request_work._task is None


async def test_cron_call_runs_due_jobs(site: FastAPI, visitor: AsyncClient, settings: Settings, emails: Emails) -> None:
    url = run_url(settings)
    assert url.startswith("https://site.example/jobs/run?signature=")
    await site.state.jobs.enqueue(register("ada@example.com"))
    await site.state.jobs.enqueue(register("bob@example.com"))
    response = await visitor.post(url)
    assert (response.status_code, response.text) == (200, "2 jobs run: test.register (2).\n")
    assert response.headers["cache-control"] == "no-store"
    assert (await visitor.get(url)).text == "No job was due.\n"
    assert await emails() == ["ada@example.com", "bob@example.com"]


@pytest.mark.parametrize("signature", ["", "é"])
async def test_cron_url_without_its_signature_is_not_found(visitor: AsyncClient, signature: str) -> None:
    assert (await visitor.get("/jobs/run", params={"signature": signature})).status_code == 404


async def test_cron_url_is_rate_limited(visitor: AsyncClient, settings: Settings) -> None:
    responses = [await visitor.get(run_url(settings)) for _ in range(7)]
    assert (responses[-1].status_code, "retry-after" in responses[-1].headers) == (429, True)


async def test_only_request_mode_has_a_cron_url(settings: Settings) -> None:
    app = create_test_app(settings.model_copy(update={"jobs": "inline"}))
    async with AsyncClient(transport=ASGITransport(app), base_url="https://site.example") as client:
        assert (await client.get(run_url(settings))).status_code == 404
    with pytest.raises(OperatorError, match="Only JOBS=request"):
        run_url(app.state.settings)
    with pytest.raises(OperatorError, match="BASE_URL is not set"):
        run_url(settings.model_copy(update={"base_url": ""}))


@pytest.mark.usefixtures("separate_machines")
async def test_frozen_process_loses_job(make_queue: MakeQueue, database: Database, find: Find, emails: Emails) -> None:
    frozen_queue, other_queue = make_queue(), make_queue()
    assert frozen_queue.request_work
    assert other_queue.request_work
    job_id = await frozen_queue.enqueue(wait())
    frozen_queue.request_work.after_response()
    await asyncio.wait_for(gate.started.wait(), TIMEOUT_SECONDS)
    await expire_leases(database)
    run = asyncio.create_task(other_queue.request_work.run())

    async def is_taken_over() -> bool:
        return (await find(job_id)).attempt == 2

    await wait_until(is_taken_over)
    gate.opened.set()
    assert await run == "1 job run: test.wait."
    await wait_until_idle(frozen_queue.request_work)
    assert (await find(job_id)).state == JobState.DONE
    assert sorted(await emails()) == ["first@example.com", "second@example.com"]


async def test_shutdown_releases_long_job(make_queue: MakeQueue, find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "UNFROZEN_SECONDS", 0.02)
    jobs = make_queue()
    assert jobs.request_work
    job_id = await jobs.enqueue(wait())
    async with jobs.running():
        assert (await jobs.request_work.run(0.1)).startswith("A job takes longer than this call")
        await asyncio.wait_for(gate.started.wait(), TIMEOUT_SECONDS)
        assert (await find(job_id)).state == JobState.RUNNING
    job = await find(job_id)
    assert (job.state, job.attempt) == (JobState.WAITING, 0)


def test_check_reports_contradicting_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    @job("test.often", schedule="*/2 * * * *")
    async def often(run: JobContext) -> None: ...

    def findings(**values: object) -> str:
        changed = settings.model_copy(update=values)
        return " ".join(finding.text for finding in (*check_jobs(changed), *check_schedules(changed, [often])))

    assert findings(jobs_call_minutes=1) == ""
    assert "test.often is scheduled every 2 minutes, but the cron service calls every 5 minutes" in findings()
    assert "`python3 oppman.py jobs url`" in findings(jobs_call_minutes=0)
    assert "BASE_URL is empty" in findings(base_url="")
    assert findings(jobs="inline") == ""
    monkeypatch.setenv("K_SERVICE", "site")
    assert "Google Cloud Run runs nothing between requests" in findings(jobs="inline")
