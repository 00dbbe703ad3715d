"""Temporary files of killed processes, and the start that removes them."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.cli.development import server, startup
from opportune.cli.project import quickstart
from opportune.project.atomic_files import TEMPORARY_INFIX, temporary_path
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.development.processes import temporary_files_open
from tests.opportune.contrib.backup.backups import Site, site

__all__ = ["site"]  # a fixture


@pytest.fixture(autouse=True)
def data_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = site.folder / "data"
    monkeypatch.setattr(startup, "DATA_FOLDER", folder)
    folder.mkdir()
    return folder


@pytest.mark.parametrize("words", ["runserver", "quickstart --no-input --no-model"])
def test_start_removes_files_of_killed_process(
    oppman: Oppman, data_folder: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    async def add_nothing(_session: AsyncSession) -> None:
        pass

    monkeypatch.setattr(server, "serve", lambda *_, **_options: None)
    monkeypatch.setattr(quickstart, "PROJECT", data_folder.parent)
    monkeypatch.setattr(quickstart, "add_initial_data", add_nothing)
    with temporary_files_open(data_folder / "app.db") as process:
        process.kill()
        process.join()
    assert len(list(data_folder.iterdir())) == 2
    assert oppman(*words.split(), "--port", "0", ENVIRONMENT="test").code == 0
    assert list(data_folder.iterdir()) == []


def test_files_in_use_and_other_files_are_kept(site: Site, data_folder: Path) -> None:
    path = data_folder / "uploads" / "picture.png"
    path.parent.mkdir()
    with temporary_files_open(path):
        startup.remove_abandoned_files(site.settings)
        assert {*path.parent.iterdir()} == {temporary_path(path), temporary_path(path, "part")}
    names = {"notes.tmp", "app.db.tmp", "notes.opportune"}
    for name in names:
        (data_folder / name).touch()
    startup.remove_abandoned_files(site.settings)
    assert {path.name for path in data_folder.iterdir()} == names | {"uploads"}


def test_files_outside_the_data_folder_are_removed(site: Site) -> None:
    picture = temporary_path(site.folder / "uploads", "restored") / "picture.png"
    for path in (temporary_path(site.path, "restored"), temporary_path(site.upload), picture):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    startup.remove_abandoned_files(site.settings)
    folders = {site.folder, site.path.parent}
    assert [path for folder in folders for path in folder.rglob(f"*{TEMPORARY_INFIX}*")] == []
    assert site.upload.exists()
