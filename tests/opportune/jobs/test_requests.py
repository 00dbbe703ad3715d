"""JOBS=request: jobs in the time that requests leave, and by a call to a signed address."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import update
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.jobs import JobContext, job
from opportune.jobs import worker as worker_module
from opportune.jobs.checks import check_jobs, check_schedules
from opportune.jobs.models import Job, JobState
from opportune.jobs.requests import RequestWork, run_url
from opportune.testing.quiet_app import quiet_app
from opportune.testing.statements import counted_statements
from tests.opportune.jobs.conftest import Emails, Find, MakeQueue
from tests.opportune.jobs.tasks import gate, register, wait

pytestmark = pytest.mark.database("sqlite")

TIMEOUT_SECONDS = 20


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"jobs": "request", "base_url": "https://site.example"})


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[FastAPI]:
    app = quiet_app(settings)
    app.state.jobs.jobs[register.name] = register
    app.state.jobs.worker.store._known = col(Job.name).in_([register.name])
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def visitor(site: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(site), base_url="https://site.example") as client:
        yield client


async def settled(work: RequestWork) -> None:
    """Until what a response has left is done."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while work._task and not work._task.done():
            await asyncio.wait([work._task])


async def test_what_is_due_is_done_after_a_response_and_an_idle_site_asks_nothing(
    site: FastAPI, visitor: AsyncClient, emails: Emails
) -> None:
    jobs = site.state.jobs
    await jobs.enqueue(register("ada@example.com"))
    assert await emails() == [], "nothing runs between requests"
    assert (await visitor.get("/health/live")).status_code == 200
    assert jobs.request_work._task is None, "nor do the questions of the host count"
    assert (await visitor.get("/robots.txt")).status_code == 200
    await settled(jobs.request_work)
    assert await emails() == ["ada@example.com"]
    with counted_statements("jobs_job") as statements:
        for _ in range(3):
            await visitor.get("/robots.txt")
            await settled(jobs.request_work)
        await asyncio.sleep(0.2)
    assert statements == []


async def test_a_cron_service_calls_a_signed_address_and_is_told_what_was_done(
    site: FastAPI, visitor: AsyncClient, settings: Settings, emails: Emails
) -> None:
    address = run_url(settings)
    assert address.startswith("https://site.example/jobs/run?signature=")
    await site.state.jobs.enqueue(register("ada@example.com"))
    await site.state.jobs.enqueue(register("bob@example.com"))
    told = await visitor.post(address)
    assert (told.status_code, told.text) == (200, "2 jobs tried: test.register (2).\n")
    assert told.headers["cache-control"] == "no-store"
    assert (await visitor.get(address)).text == "Nothing was due.\n"
    assert await emails() == ["ada@example.com", "bob@example.com"]
    for wrong in ("", address[-64:-1] + "!", "é"):
        refused = await visitor.get("/jobs/run", params={"signature": wrong})
        assert refused.status_code == 404
    for _ in range(4):
        await visitor.get(address)
    many = await visitor.get(address)
    assert (many.status_code, "retry-after" in many.headers) == (429, True)


async def test_only_this_mode_has_such_an_address(settings: Settings) -> None:
    app = quiet_app(settings.model_copy(update={"jobs": "inline"}))
    async with AsyncClient(transport=ASGITransport(app), base_url="https://site.example") as client:
        assert (await client.get(run_url(settings))).status_code == 404
    with pytest.raises(OperatorError, match="only JOBS=request"):
        run_url(app.state.settings)
    with pytest.raises(OperatorError, match="BASE_URL is not set"):
        run_url(settings.model_copy(update={"base_url": ""}))


@pytest.mark.usefixtures("separate_machines")
async def test_what_a_frozen_process_began_is_taken_up_by_another_and_written_once(
    make_queue: MakeQueue, database: Database, find: Find, emails: Emails
) -> None:
    frozen, other = make_queue(), make_queue()
    assert frozen.request_work
    assert other.request_work
    queued = await frozen.enqueue(wait())
    frozen.request_work.after_response()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await gate.begun.wait()
    async with database.writer() as session:  # its lease has ended while it was frozen
        await session.execute(update(Job).values(lease_until=utc_now() - timedelta(seconds=1)))
    taken = asyncio.create_task(other.request_work.run())
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (await find(queued)).attempt == 1:
            await asyncio.sleep(0.01)
    gate.let_go.set()
    assert await taken == "1 job tried: test.wait."
    await settled(frozen.request_work)
    assert (await find(queued)).state == JobState.DONE
    assert sorted(await emails()) == ["first@example.com", "second@example.com"]


async def test_a_job_that_takes_longer_than_the_call_goes_on_and_is_given_back_at_the_end(
    make_queue: MakeQueue, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "UNFROZEN_SECONDS", 0.02)
    jobs = make_queue()
    assert jobs.request_work
    queued = await jobs.enqueue(wait())
    async with jobs.running():
        assert (await jobs.request_work.run(0.1)).startswith("A job takes longer than this call")
        assert (await find(queued)).state == JobState.RUNNING
    job = await find(queued)
    assert (job.state, job.attempt) == (JobState.WAITING, 0)


def test_check_names_what_does_not_fit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    @job("test.often", schedule="*/2 * * * *")
    async def often(run: JobContext) -> None: ...

    def found(**values: object) -> str:
        changed = settings.model_copy(update=values)
        return " ".join(each.text for each in (*check_jobs(changed), *check_schedules(changed, [often])))

    assert found(jobs_call_minutes=1) == ""
    assert "test.often is to begin every 2 minutes, and the cron service calls every 5" in found()
    assert "`python3 oppman.py jobs url`" in found(jobs_call_minutes=0)
    assert "BASE_URL is empty" in found(base_url="")
    assert found(jobs="inline") == ""
    monkeypatch.setenv("K_SERVICE", "site")
    assert "Google Cloud Run runs nothing between requests" in found(jobs="inline")
