"""Operations on the page of operations, such as retrying jobs and ending sessions."""

from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session, User
from opportune.config.settings import Settings
from opportune.contrib.backup.settings import BackupSettings
from opportune.db.models.model import utc_now
from opportune.feature import Admin, Feature, Jobs
from opportune.jobs import JobContext, job
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedules import record_run
from opportune.testing.factories import signed_in_client
from tests.opportune.admin.operations.pages import PAGE, flash_messages, read_entries
from tests.opportune.stored_rows import add_rows, read_all


def list_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_failed_jobs_are_retried_and_ended_jobs_cleared(app: FastAPI, operator: AsyncClient) -> None:
    states = ["failed", "failed", "done", "cancelled", "waiting", "running"]
    await add_rows(
        app, *(Job(name="gone.job", state=JobState(state), attempt=3, ended_at=utc_now()) for state in states)
    )
    await operator.post(f"{PAGE}/do/retry-failed-jobs")
    assert await flash_messages(operator) == "2 failed jobs queued again."
    await operator.post(f"{PAGE}/do/clear-ended-jobs")
    assert await flash_messages(operator) == "2 ended jobs cleared."
    jobs = await read_all(app, select(Job).where(col(Job.name) == "gone.job").order_by(col(Job.id)))
    assert [(job.state, job.attempt) for job in jobs] == [("waiting", 0)] * 2 + [("waiting", 3), ("running", 3)]
    assert await read_entries(app) == [
        ("retry-failed-jobs", "2 failed jobs queued again."),
        ("clear-ended-jobs", "2 ended jobs cleared."),
    ]


async def test_all_other_sessions_are_ended(app: FastAPI, operator: AsyncClient, superuser: User) -> None:
    past, future = utc_now() - timedelta(seconds=1), utc_now() + timedelta(days=1)
    async with app.state.database.writer() as session:
        for number, end in enumerate((past, future)):
            session.add(Session(user_id=superuser.id, token_hash=f"s{number}", expires_at=end))
            session.add(ApiToken(user_id=superuser.id, token_hash=f"t{number}", name="x", expires_at=end, scopes="*"))
    await operator.post(f"{PAGE}/do/clear-expired-sessions")
    assert await flash_messages(operator) == "2 expired sessions and tokens cleared."
    async with signed_in_client(app) as other_session:
        await operator.post(f"{PAGE}/do/sign-everybody-out")
        assert (await other_session.get("/accounts/profile")).status_code == 303
    assert await flash_messages(operator) == "2 sessions and 1 token ended. Only this browser is signed in."


async def test_email_for_testing_is_sent_or_refused(
    app: FastAPI, operator: AsyncClient, tmp_path: Path, settings: Settings
) -> None:
    changes = {"mail_url": SecretStr(f"file:{tmp_path}")}
    app.state.settings = settings.model_copy(update=changes)
    await operator.post(f"{PAGE}/do/send-test-email", data={"to": "ada@example.org"})
    assert await flash_messages(operator) == f"The e-mail to ada@example.org went to {tmp_path}."
    assert list_names(tmp_path)
    for address in ("", "nobody", "a@example.org\nBcc: b@example.org"):
        await operator.post(f"{PAGE}/do/send-test-email", data={"to": address})
        assert "went to" not in await flash_messages(operator), address
    assert [title.split(":")[0] for _, title in (await read_entries(app))[1:]] == ["Failed"] * 3


async def test_unknown_operation_is_not_found(app: FastAPI, operator: AsyncClient) -> None:
    await operator.post(f"{PAGE}/do/clear-cache")
    assert "cache was cleared" in await flash_messages(operator)
    assert (await operator.post(f"{PAGE}/do/reboot")).status_code == 404
    assert (await operator.get(f"{PAGE}/do/clear-cache")).status_code == 405
    assert [action for action, _ in await read_entries(app)] == ["clear-cache"]


@job("tests.count_stars")
async def count_stars(_run: JobContext) -> None:
    """Count the stars."""


async def test_job_of_a_feature_is_queued(app: FastAPI, operator: AsyncClient) -> None:
    feature = Feature("stars", jobs=Jobs([count_stars]), admin=Admin(operations={"Count the stars": count_stars()}))
    app.state.features = [*app.state.features, feature]
    app.state.jobs.jobs["tests.count_stars"] = count_stars
    assert 'action="/admin/operations/do/tests.count_stars"' in (await operator.get(PAGE)).text
    await operator.post(f"{PAGE}/do/tests.count_stars")
    assert await flash_messages(operator) == "Queued: Count the stars."
    assert ("tests.count_stars", "Queued: Count the stars.") in await read_entries(app)
    assert (await operator.post(f"{PAGE}/do/tests.count_sheep")).status_code == 404

    assert "/jobs/run" not in (await operator.get(PAGE)).text
    for base_url, message in (
        ("https://site.example", "https://site.example/jobs/run?signature="),
        ("", "BASE_URL is"),
    ):
        app.state.settings = app.state.settings.model_copy(update={"jobs": "request", "base_url": base_url})
        assert message in (await operator.get(PAGE)).text


async def test_backups_are_listed_and_queued(app: FastAPI, operator: AsyncClient, tmp_path: Path) -> None:
    assert "BACKUP_URL is empty" in (await operator.get(f"{PAGE}/backups")).text
    await operator.post(f"{PAGE}/do/back-up-now")
    assert (await flash_messages(operator)).startswith("BACKUP_URL is empty")
    name = "opportune-20260101T000000Z-sqlite.zip"
    (tmp_path / name).write_text("x")
    settings = app.state.settings.having(BackupSettings(backup_url=SecretStr(f"file:{tmp_path}")))
    app.state.settings = settings
    async with app.state.database.writer() as session:
        await record_run(session, "backups.make", error="The bucket is full.")
    page = (await operator.get(f"{PAGE}/backups")).text
    assert name in page
    assert "The bucket is full." in page
    assert "The last backup failed: The bucket is full." in (await operator.get(PAGE)).text
    for button in ("back-up-now", "rehearse-restore"):
        await operator.post(f"{PAGE}/do/{button}")
        assert (await flash_messages(operator)).startswith("A ")
    names = await read_all(app, select(col(Job.name)).where(col(Job.name).startswith("backups.")))
    assert {*names} == {"backups.make", "backups.rehearse"}
