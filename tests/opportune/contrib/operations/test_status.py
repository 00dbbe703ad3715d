"""`/admin/status` as page and JSON."""

import re
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from opportune.config import LlmModel, Settings
from opportune.contrib.operations.job_lights import scheduled_names
from opportune.contrib.operations.status import replica_lights
from opportune.contrib.telemetry import server_lights as server
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.db.clock import utc_now
from opportune.jobs.models import Job, JobState, LastRun
from opportune.jobs.schedules import SCHEDULE_KEY
from opportune.testing.app import create_test_app
from tests.opportune.stored_rows import add_rows

TOKEN = "a token of the tests, long enough"


def extract_status(page: str, part: str) -> str:
    """Return the text about one part of the status, with its hint."""
    pairs = re.findall(r"<dt[^>]*>.*?</span><span[^>]*>([^<]*)</span></dt>\s*<dd[^>]*>(.*?)</dd>", page, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", " ", html).split()) for name, html in pairs}[part]


async def test_status_shows_all_parts(admin: AsyncClient) -> None:
    page = (await admin.get("/admin/status")).text
    assert "The site works. Read the notices that are marked yellow." in page, "backups are off"
    assert re.search(r"up .*, \d+ [MG]B, event loop \d+ ms late", extract_status(page, "Web process 0"))
    assert re.fullmatch(r"\d+ of \d+ in use", extract_status(page, "Connections, reader"))
    assert extract_status(page, "Migrations") == "all applied"
    assert "free at" in extract_status(page, "Disk")
    assert extract_status(page, "Today").startswith("0 answers, 0 tokens")
    assert "BACKUP_URL is empty" in extract_status(page, "Backups")


async def test_full_memory_and_disk_have_hints(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "memory_limit_bytes", lambda: 1_000_000)
    monkeypatch.setattr(server, "FULL_DISK_BYTES", 2**80)
    page = (await admin.get("/admin/status")).text
    assert "the host stops the site at the limit" in extract_status(page, "Memory")
    assert "nothing can be saved on a full disk" in extract_status(page, "Disk")


async def test_unreachable_model_is_a_fault(
    app: FastAPI, admin: AsyncClient, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LlmModel(name="Fast", base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    malformed = LlmModel(name="Typo", base_url="https://api..example.com/v1")
    app.state.settings = app.state.settings.model_copy(update={"llm_models": [model, malformed]})
    page = (await admin.get("/admin/status")).text
    assert extract_status(page, "127.0.0.1").startswith(f"fault: cannot be reached at port {unused_tcp_port}")
    assert extract_status(page, "api..example.com").startswith("fault: has no address")
    app.state.settings = app.state.settings.model_copy(update={"llm_models": []})
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{unused_tcp_port}")
    app.state.llm.models = [LlmModel(name="Far", base_url="http://models.example.com/v1")]
    page = (await admin.get("/admin/status")).text
    assert "cannot be reached" in extract_status(page, "127.0.0.1"), "includes the model chosen in the browser"


async def test_unexpected_error_leaves_the_other_lights(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.operations.status.replica_lights", None)
    page = (await admin.get("/admin/status")).text
    assert extract_status(page, "Not available") == "fault: Failed: TypeError"
    assert extract_status(page, "Migrations") == "all applied"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update={"jobs": getattr(request, "param", settings.jobs)})


@pytest.mark.parametrize("settings", ["off"], indirect=True)  # otherwise the site may run the late jobs first
async def test_late_and_failed_jobs_are_faults_with_hints(app: FastAPI, admin: AsyncClient) -> None:
    late_job, failed_job, *_ = scheduled_names(app.state.jobs.jobs.values(), app.state.settings)
    hour_ago = utc_now() - timedelta(hours=1)
    await add_rows(
        app,
        Job(name=late_job, key=f"{SCHEDULE_KEY}{late_job}:now", due_at=hour_ago),
        Job(name="removed.job", due_at=utc_now() - timedelta(days=1)),
        Job(name=failed_job, key=f"{SCHEDULE_KEY}{failed_job}:now", due_at=utc_now() + timedelta(hours=1)),
        LastRun(name=late_job, succeeded_at=hour_ago),
        LastRun(name=failed_job, failed_at=hour_ago, error="No room."),
        Job(name="mail.send", state=JobState.FAILED, ended_at=hour_ago, error="550 <no> such user"),
    )
    page = (await admin.get("/admin/status")).text
    assert "Something needs you" in page
    assert re.search(r"Succeeded: .*\. Late since", extract_status(page, late_job))
    assert re.search(r"fault: Failed: .* Not run yet\. Next run: .* No room\.", extract_status(page, failed_job))
    assert "Set JOBS=inline, or JOBS=worker" in extract_status(page, late_job)
    assert re.search("^fault: .* The oldest is 1 hour late.* Set JOBS=inline", extract_status(page, "Jobs"))
    assert "550 &lt;no&gt; such user" in page
    assert "send a test e-mail" in extract_status(page, "Last e-mail failed")
    app.state.settings = app.state.settings.model_copy(update={"jobs": "request"})
    page = (await admin.get("/admin/status")).text
    assert extract_status(page, "Jobs").startswith("notice: "), "no worker is expected here"


async def test_json_status_without_a_database_is_english(settings: Settings) -> None:
    url = SecretStr("sqlite:////nowhere/at/all.db")
    german = settings.model_copy(update={"database_url": url, "language": "de", "languages": ["de"]})
    app = create_test_app(german.having(TelemetrySettings(metrics_token=SecretStr(TOKEN))))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        assert (await client.get("/metrics/status")).status_code == 401
        response = await client.get("/metrics/status", headers={"Authorization": f"Bearer {TOKEN}"})
    status = response.json()
    assert (response.status_code, status["well"]) == (503, False)
    database = status["groups"]["Overview"][0]
    assert (database["part"], database["words"], database["state"]) == ("Database", "is not available", "fault")
    parts = [light["part"] for light in status["groups"]["Server"]]
    assert "Web process 0" in parts, "the other parts are still shown"


async def test_json_status_masks_email_addresses(settings: Settings) -> None:
    app = create_test_app(settings.having(TelemetrySettings(metrics_token=SecretStr(TOKEN))))
    async with app.router.lifespan_context(app):
        error = "550 <ada@example.com>: no such user"
        await add_rows(app, Job(name="mail.send", state=JobState.FAILED, ended_at=utc_now(), error=error))
        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            status = (await client.get("/metrics/status", headers={"Authorization": f"Bearer {TOKEN}"})).text
    assert "550 […] no such user" in status
    assert "ada@" not in status


@pytest.mark.database("postgresql")
async def test_state_of_a_replica_is_shown(settings: Settings) -> None:
    app = create_test_app(settings.model_copy(update={"database_reader_url": settings.database_url}))
    async with app.router.lifespan_context(app):
        light = (await replica_lights(app))[-1]
        assert light.part == f"Replica {app.state.database.url.server}"
        assert light.words == "is used. Its lag is not known yet"
        async with app.state.database.reader():
            pass
        assert (await replica_lights(app))[-1].words == "is used, at most 0.0 s behind"


async def test_waiting_emails_are_shown(app: FastAPI, admin: AsyncClient) -> None:
    now, hour = utc_now(), timedelta(hours=1)
    await add_rows(app, Job(name="mail.send", attempt=9, created_at=now - hour, due_at=now + hour, error="No."))
    status = extract_status((await admin.get("/admin/status")).text, "E-mails waiting")
    assert status.startswith("fault: 1 e-mail could not be sent yet. No. The first is from ")
