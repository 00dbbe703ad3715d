"""Download of backups."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.contrib.backup import scheduled
from opportune.contrib.backup.archive import open_archive
from tests.opportune.admin.operations.pages import PAGE, flash_messages, read_entries


def list_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


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


async def test_backup_fails_on_read_only_disk(
    app: FastAPI, operator: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_folder(_prefix: str) -> Any:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(scheduled, "private_folder", refuse_folder)
    await operator.post(f"{PAGE}/backup")
    assert "has no disk to write a backup to (Read-only file system)" in await flash_messages(operator)
    ((action, title),) = await read_entries(app)
    assert (action, title[:7]) == ("download-backup", "Failed:")
