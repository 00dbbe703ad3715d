"""Heartbeats, and e-mails about late schedules."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from opportune.config.base_settings import read_class
from opportune.config.settings import Settings
from opportune.contrib.telemetry.heartbeat import report_late_jobs, watch_jobs
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.db import Database, utc_now
from opportune.errors import SettingsError
from opportune.jobs import JobContext, job
from opportune.jobs.models import Job, JobState, LastRun
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, response, serve_endpoint
from tests.opportune.jobs.tasks import job_queue
from tests.opportune.stored_rows import add_rows
from tests.opportune.waiting import wait_until


def called_paths(monitor: FakeEndpoint) -> list[str]:
    return [request.target for request in monitor.requests]


@pytest.fixture
async def monitor() -> AsyncIterator[FakeEndpoint]:
    async with serve_endpoint(response("200 OK")) as monitor:
        yield monitor


@pytest.fixture
def watched(recorded_jobs: RecordedJobs, monitor: FakeEndpoint) -> RecordedJobs:
    mail = {"mail_url": SecretStr("smtp://127.0.0.1:9"), "mail_from": "site@example.org"}
    settings = recorded_jobs.context.settings.model_copy(update={"admin_email": "root@example.org", **mail})
    heartbeat = TelemetrySettings(heartbeat_url=SecretStr(f"{monitor.address}/secret-path"))
    recorded_jobs.context.settings = settings.having(heartbeat)
    return recorded_jobs


async def test_url_is_called_and_its_secret_not_logged(
    watched: RecordedJobs, monitor: FakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    await watched.run(watch_jobs())
    assert called_paths(monitor) == ["/v1/secret-path"]
    monitor.steps = [response("500 X")]
    await watched.run(watch_jobs())
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == ["The heartbeat did not reach 127.0.0.1: status 500"]


@pytest.fixture
async def late_job(database: Database) -> None:
    await add_rows(database, Job(name="a.late", key="schedule:a.late:1", due_at=utc_now() - timedelta(hours=1)))


@pytest.mark.usefixtures("late_job")
async def test_late_schedule_only_sends_mail(watched: RecordedJobs, monitor: FakeEndpoint, database: Database) -> None:
    await add_rows(database, LastRun(name="a.late", succeeded_at=utc_now() - timedelta(days=1)))
    await add_rows(database, Job(name="b.soon", key="schedule:b.soon:1", due_at=utc_now() + timedelta(hours=1)))
    await watched.run(watch_jobs())
    assert watched.names == ["admin.report_late_jobs"], "a site that has just woken up may catch up"
    await watched.work()
    await watched.run(report_late_jobs(utc_now().isoformat()))
    await watched.work()
    assert monitor.requests == []
    assert [email.to for email in watched.outbox] == ["root@example.org"]
    assert "Schedules are late" in watched.outbox[0].subject
    assert "a.late: due at" in watched.outbox[0].text
    assert "b.soon" not in watched.outbox[0].text


@pytest.mark.usefixtures("late_job")
async def test_late_jobs_are_normal_with_jobs_request(watched: RecordedJobs, monitor: FakeEndpoint) -> None:
    watched.context.settings = watched.context.settings.model_copy(update={"jobs": "request"})
    await watched.run(watch_jobs())
    assert called_paths(monitor) == ["/v1/secret-path"]


@pytest.mark.parametrize("url", ["hc-ping.com/secret", "ftp://hc-ping.com/secret"])
def test_invalid_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^HEARTBEAT_URL: must be an address such as") as caught:
        read_class(TelemetrySettings, heartbeat_url=url)
    assert "secret" not in str(caught.value)


async def test_job_calls_its_url_on_success(settings: Settings, database: Database, monitor: FakeEndpoint) -> None:
    @job("telemetry.nightly", heartbeat_url=f"{monitor.address}/nightly")
    async def nightly(_run: JobContext) -> None: ...
    @job("telemetry.broken", attempts=1, heartbeat_url=f"{monitor.address}/broken")
    async def broken(_run: JobContext) -> None:
        raise ValueError

    await add_rows(database, Job(name="removed.job", due_at=utc_now() - timedelta(hours=1)))
    options = settings.having(TelemetrySettings(heartbeat_url=SecretStr(f"{monitor.address}/all")))
    queue = job_queue(options, database, [nightly, broken, watch_jobs])
    async with queue.running():
        for call, state in ((nightly(), JobState.DONE), (broken(), JobState.FAILED), (watch_jobs(), JobState.DONE)):
            assert await queue.wait_until_ended(await queue.enqueue(call)) is state
        await wait_until(lambda: len(monitor.requests) == 2)
    assert sorted(called_paths(monitor)) == ["/v1/all", "/v1/nightly"]
