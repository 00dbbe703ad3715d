"""Operations of superusers who have just confirmed the password, also those that features add."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pyotp
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlmodel import col

from opportune.accounts.flows.confirmation import CONFIRMED_FOR, PASSWORDS_PER_USER
from opportune.accounts.models import ApiToken, Session, User
from opportune.config import Settings, seal
from opportune.contrib.backup.settings import BackupSettings
from opportune.db.clock import utc_now
from opportune.feature import Admin, AdminPanel, Feature, Jobs
from opportune.jobs import JobContext, job
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedules import record_run
from opportune.testing import PASSWORD, make_user, signed_in_client
from tests.opportune.contrib.operations import pages
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows, execute, make_staff, read_all


async def test_failed_jobs_are_retried_and_ended_jobs_cleared(app: FastAPI, operator: AsyncClient) -> None:
    states = ["failed", "failed", "done", "cancelled", "waiting", "running"]
    ended: dict[str, Any] = {"name": "gone.job", "attempt": 3, "ended_at": utc_now()}
    await add_rows(app, *(Job(state=JobState(state), **ended) for state in states))
    await operator.post(f"{pages.PAGE}/do/retry-failed-jobs")
    assert await pages.flash_messages(operator) == "2 failed jobs queued again."
    await operator.post(f"{pages.PAGE}/do/clear-ended-jobs")
    assert await pages.flash_messages(operator) == "2 ended jobs cleared."
    jobs = await read_all(app, select(Job).where(col(Job.name) == "gone.job").order_by(col(Job.id)))
    assert [(job.state, job.attempt) for job in jobs] == [("waiting", 0)] * 2 + [("waiting", 3), ("running", 3)]
    entries = [("retry-failed-jobs", "2 failed jobs queued again."), ("clear-ended-jobs", "2 ended jobs cleared.")]
    assert await pages.read_entries(app) == entries


async def test_all_other_sessions_are_ended(app: FastAPI, operator: AsyncClient, superuser: User) -> None:
    past, future = utc_now() - timedelta(seconds=1), utc_now() + timedelta(days=1)
    async with app.state.database.writer() as session:
        for number, end in enumerate((past, future)):
            session.add(Session(user_id=superuser.id, token_hash=f"s{number}", expires_at=end))
            session.add(ApiToken(user_id=superuser.id, token_hash=f"t{number}", name="x", expires_at=end, scopes="*"))
    await operator.post(f"{pages.PAGE}/do/clear-expired-sessions")
    assert await pages.flash_messages(operator) == "2 expired sessions and tokens cleared."
    async with signed_in_client(app) as other_session:
        await operator.post(f"{pages.PAGE}/do/sign-everybody-out")
        assert (await other_session.get("/accounts/profile")).status_code == 303
    assert await pages.flash_messages(operator) == "2 sessions and 1 token ended. Only this browser is signed in."


async def test_email_for_testing_is_sent_or_refused(app: FastAPI, operator: AsyncClient, tmp_path: Path) -> None:
    changes = {"mail_url": SecretStr(f"file:{tmp_path}")}
    app.state.settings = app.state.settings.model_copy(update=changes)
    await operator.post(f"{pages.PAGE}/do/send-test-email", data={"to": "ada@example.org"})
    assert await pages.flash_messages(operator) == f"The e-mail to ada@example.org went to {tmp_path}."
    assert pages.list_names(tmp_path)
    for address in ("", "nobody", "a@example.org\nBcc: b@example.org"):
        await operator.post(f"{pages.PAGE}/do/send-test-email", data={"to": address})
        assert "went to" not in await pages.flash_messages(operator), address
    assert [title.split(":")[0] for _, title in (await pages.read_entries(app))[1:]] == ["Failed"] * 3


@job("tests.count_stars")
async def count_stars(_run: JobContext) -> None:
    """Count the stars."""


async def test_job_of_a_feature_is_queued(app: FastAPI, operator: AsyncClient) -> None:
    feature = Feature("stars", jobs=Jobs([count_stars]), admin=Admin(operations={"Count the stars": count_stars()}))
    app.state.features = [*app.state.features, feature]
    app.state.jobs.jobs["tests.count_stars"] = count_stars
    assert 'action="/admin/operations/do/tests.count_stars"' in (await operator.get(pages.PAGE)).text
    await operator.post(f"{pages.PAGE}/do/tests.count_stars")
    assert await pages.flash_messages(operator) == "Queued: Count the stars."
    assert ("tests.count_stars", "Queued: Count the stars.") in await pages.read_entries(app)
    assert (await operator.post(f"{pages.PAGE}/do/tests.count_sheep")).status_code == 404
    assert "/jobs/run" not in (await operator.get(pages.PAGE)).text
    for base_url, message in (("https://s.example", "https://s.example/jobs/run?signature="), ("", "BASE_URL is")):
        app.state.settings = app.state.settings.model_copy(update={"jobs": "request", "base_url": base_url})
        assert message in (await operator.get(pages.PAGE)).text


async def test_backups_are_listed_and_queued(app: FastAPI, operator: AsyncClient, tmp_path: Path) -> None:
    assert "BACKUP_URL is empty" in (await operator.get(f"{pages.PAGE}/backups")).text
    await operator.post(f"{pages.PAGE}/do/back-up-now")
    assert (await pages.flash_messages(operator)).startswith("BACKUP_URL is empty")
    name = "opportune-20260101T000000Z-sqlite.zip"
    (tmp_path / name).write_text("x")
    settings = app.state.settings.having(BackupSettings(backup_url=SecretStr(f"file:{tmp_path}")))
    app.state.settings = settings
    async with app.state.database.writer() as session:
        await record_run(session, "backups.make", error="The bucket is full.")
    page = (await operator.get(f"{pages.PAGE}/backups")).text
    assert name in page
    assert "The bucket is full." in page
    assert "The last backup failed: The bucket is full." in (await operator.get(pages.PAGE)).text
    for button in ("back-up-now", "rehearse-restore"):
        await operator.post(f"{pages.PAGE}/do/{button}")
        assert (await pages.flash_messages(operator)).startswith("A ")
    names = await read_all(app, select(col(Job.name)).where(col(Job.name).startswith("backups.")))
    assert {*names} == {"backups.make", "backups.rehearse"}


@pytest.mark.parametrize("without", [(), ("dashboard",)])
async def test_panel_is_shown_to_superusers(settings: Settings, without: Collection[str]) -> None:
    panel = AdminPanel("dashboard", "doctor/admin_operations.html", AsyncMock(side_effect=[None, {}, {}]))
    async with site_with(Feature("stars", admin=Admin(panels=[panel])), settings, without=without) as app:
        superuser = await make_user(app.state.database, is_superuser=True)
        staff = await make_staff(app, "*.*")
        async with signed_in_client(app, superuser) as admin, signed_in_client(app, staff) as staff_client:
            responses = [await client.get("/admin/") for client in (admin, admin, staff_client)]
    shown = [(page.status_code, "Examine the database" in page.text) for page in responses]
    assert shown == [(200, False), (200, True), (200, False)], "without a context it is hidden"


def is_confirmation(location: str) -> bool:
    return location.startswith(f"{pages.CONFIRM}?next=/admin/operations")


async def test_operations_refuse_staff_with_all_permissions(app: FastAPI, client: AsyncClient) -> None:
    async with signed_in_client(app, await make_staff(app, "*.*")) as browser:
        for path in pages.READ_PATHS:
            assert (await browser.get(path)).status_code == 403, path
            assert (await client.get(path)).status_code == 303, path
        for path in (*pages.CHANGE_PATHS, "/admin/cache"):
            assert (await browser.post(path, data={"current_password": PASSWORD})).status_code == 403, path
    assert await pages.read_entries(app) == []


async def test_operations_need_a_confirmed_password(app: FastAPI, admin: AsyncClient) -> None:
    for path in pages.READ_PATHS:
        response = await admin.get(path)
        assert (response.status_code, response.headers["location"]) == (303, f"{pages.CONFIRM}?next={path}")
    for path in pages.CHANGE_PATHS:
        response = await admin.post(path)
        assert is_confirmation(response.headers["location"]), path
    assert "Nothing was changed yet" in (await admin.get(pages.CONFIRM)).text
    assert await pages.read_entries(app) == []


async def test_confirmation_redirects_back_and_expires(app: FastAPI, admin: AsyncClient) -> None:
    path = pages.READ_PATHS[1]
    for next_url, location in ((path, path), ("//evil.example", "/"), ("https://evil.example", "/")):
        response = await admin.post(f"{pages.CONFIRM}?next={next_url}", data={"current_password": PASSWORD})
        assert (response.status_code, response.headers["location"]) == (303, location)
    assert (await admin.get(pages.PAGE)).status_code == 200
    await execute(app, update(Session).values(confirmed_at=utc_now() - CONFIRMED_FOR))
    assert is_confirmation((await admin.get(pages.PAGE)).headers["location"])


async def test_wrong_passwords_are_limited(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PASSWORDS_PER_USER, "limit", 2)
    for password in ("wrong", PASSWORD.upper()):
        response = await admin.post(pages.CONFIRM, data={"current_password": password})
        assert response.status_code == 422
        assert "This is not your current password." in response.text
    assert "Please enter your current password." in (await admin.post(pages.CONFIRM)).text
    response = await admin.post(pages.CONFIRM, data={"current_password": PASSWORD})
    assert response.status_code == 429
    assert "Try again in" in response.text
    assert (await admin.get(pages.PAGE)).status_code == 303


async def test_confirmation_is_only_for_this_browser(app: FastAPI, operator: AsyncClient, superuser: User) -> None:
    async with signed_in_client(app, superuser) as new_session:
        assert (await new_session.get(pages.PAGE)).status_code == 303
    for path in pages.CHANGE_PATHS:
        assert (await operator.post(path, headers={"origin": "https://evil.example"})).status_code == 403, path
    assert await pages.read_entries(app) == []


async def test_confirmation_needs_the_second_factor(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    key = pyotp.random_base32()
    await execute(app, update(User).values(totp_secret=seal(app.state.settings, f"two-factor:{superuser.id}", key)))
    assert 'name="code"' in (await admin.get(pages.CONFIRM)).text
    for code in ("", "000000"):
        response = await admin.post(pages.CONFIRM, data={"current_password": PASSWORD, "code": code})
        assert "This code is wrong" in response.text
    response = await admin.post(pages.CONFIRM, data={"current_password": PASSWORD, "code": pyotp.TOTP(key).now()})
    assert response.status_code == 303
    assert (await admin.get(pages.PAGE)).status_code == 200
