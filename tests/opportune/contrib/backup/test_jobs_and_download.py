"""Scheduled backups: schedule, e-mails about failures, state on the status page. Downloads of backups."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.contrib.backup import jobs
from opportune.contrib.backup.archive import open_archive
from opportune.contrib.backup.feature import backup_lights
from opportune.contrib.backup.jobs import BACKUP, MAX_ATTEMPTS, make_backup, read_backup_state, rehearse_restore
from opportune.contrib.backup.settings import BackupSettings
from opportune.db.clock import utc_now
from opportune.errors import OperatorError
from opportune.jobs.schedules import find_last_run, record_run
from tests.opportune.contrib.operations.pages import PAGE, list_names, read_entries


def to_folder(name: str) -> BackupSettings:
    return BackupSettings(backup_url=SecretStr(f"file:{name}"), backup_schedule="0 0 1 1 *")


class Run:
    """JobContext without a queue."""

    attempt = MAX_ATTEMPTS
    note = ""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self.settings = settings
        self.database = app.state.database

    async def write(self, work: Any, *arguments: Any) -> None:
        async with self.database.writer() as session:
            await work(session, *arguments)

    async def progress(self, _done: int, _total: int, note: str) -> None:
        self.note = note


async def test_first_failure_after_a_success_sends_an_email(app: FastAPI, recorded_jobs: Any, tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    settings = app.state.settings.model_copy(update={"admin_email": "ada@example.org"})
    failing = Run(app, settings.having(to_folder(f"{tmp_path}/in the way/x")))

    async def fail() -> None:
        with pytest.raises(OperatorError) as raised:
            await make_backup.function(failing)  # type: ignore[arg-type]  # Run has the attributes used
        if make_backup.is_final(failing.attempt, raised.value):
            await make_backup.call_on_failure(failing, raised.value, [])  # type: ignore[arg-type]
        await failing.write(record_run, BACKUP, "", str(raised.value))  # as the worker does

    failing.attempt = 1
    await fail()
    assert recorded_jobs.outbox == []
    failing.attempt = MAX_ATTEMPTS
    await fail()
    await fail()
    (email,) = recorded_jobs.outbox
    assert (email.to, email.subject) == ("ada@example.org", f"Backup failed on {failing.settings.site_name}")
    assert "Not a directory" in email.text
    async with app.state.database.reader(fresh=True) as session:
        state = await read_backup_state(session, failing.settings)
    assert (state.is_healthy, str(state)[:24]) == (False, "The last backup failed: ")
    good = Run(app, settings.having(to_folder(f"{tmp_path}/away")))
    await make_backup.function(good)  # type: ignore[arg-type]
    await good.write(record_run, BACKUP, good.note)
    await rehearse_restore.function(good)  # type: ignore[arg-type]
    assert "match the backup (into SQLite" in good.note
    async with app.state.database.reader(fresh=True) as session:
        state = await read_backup_state(session, good.settings)
        assert state.is_healthy
        assert "-sqlite.zip (" in str(state)
    await fail()
    assert len(recorded_jobs.outbox) == 2


async def test_jobs_are_scheduled_only_with_a_backup_url(app: FastAPI) -> None:
    settings = app.state.settings.having(BackupSettings(backup_schedule="0 0 1 1 *"))
    assert (make_backup.schedule_in(settings), rehearse_restore.schedule_in(settings)) == ("", "")
    settings = settings.having(to_folder("away"))
    assert (make_backup.schedule_in(settings), rehearse_restore.schedule_in(settings)) == ("0 0 1 1 *", "30 4 * * 0")
    app.state.settings = settings
    assert [light.state for light in await backup_lights(app)] == ["notice"], "no backup has been made yet"


async def test_missed_backup_is_overdue(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = app.state.settings.having(to_folder("away"))
    async with app.state.database.writer() as session:
        await record_run(session, BACKUP, "made")
    async with app.state.database.reader(fresh=True) as session:
        last_run = await find_last_run(session, BACKUP)
        assert (last_run.note, last_run.is_failing) == ("made", False)
        assert not (await read_backup_state(session, settings)).is_overdue
        monkeypatch.setattr(jobs, "utc_now", lambda: utc_now().replace(year=2100))
        assert "The last scheduled backup did not run" in str(await read_backup_state(session, settings))


async def test_backup_is_downloaded_and_deleted(
    app: FastAPI, operator: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    response = await operator.post(f"{PAGE}/backup")
    assert response.status_code == 200
    name = re.fullmatch(r'attachment; filename="(\w+-\w+\.zip)"', response.headers["content-disposition"])
    assert name
    assert response.headers["cache-control"] == "no-store"
    assert not list_names(tmp_path)
    (tmp_path / "backup.zip").write_bytes(response.content)
    with open_archive(tmp_path / "backup.zip") as archive:
        archive.check()
        assert "accounts_user" in archive.manifest.tables
    assert await read_entries(app) == [("download-backup", name[1])]
