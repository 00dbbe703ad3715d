"""Restart of `runserver` when files change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.cli.development import reloader
from opportune.cli.development.reloader import FilesReload

MAX_TRIES = 40
"""Maximum number of attempts, each up to half a second."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("app/__pycache__", "templates/books"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("app/code.py", ".env", "templates/base.html", "templates/books/list.html"):
        (tmp_path / name).write_text("0")
    monkeypatch.setattr(reloader, "PROJECT", tmp_path)
    monkeypatch.setattr(reloader, "TEMPLATE_FOLDERS", [tmp_path / "templates"])
    return tmp_path


@pytest.fixture
def file_reloader(project: Path) -> Iterator[FilesReload]:
    """A reloader whose two watchers have already reported a change."""
    file_reloader = FilesReload([project / "app", project / "templates"], target=lambda _: None, sockets=[])
    file_reloader.start_watching()
    for name in ("app/code.py", ".env"):
        change(file_reloader, project / name)
    while file_reloader.should_restart():
        pass
    yield file_reloader
    file_reloader.should_exit.set()


def change(file_reloader: FilesReload, path: Path) -> None:
    """Write to a file until the reloader reports it."""
    for number in range(MAX_TRIES):
        path.write_text(str(number))
        if path in (file_reloader.should_restart() or []):
            return
    raise AssertionError(f"{path} was not reported")


def next_changes(file_reloader: FilesReload) -> list[Path]:
    return next(filter(None, (file_reloader.should_restart() for _ in range(MAX_TRIES))))


@pytest.mark.parametrize("name", ["app/messages.po", ".env", "templates/books/list.html"])
def test_written_file_restarts_once(file_reloader: FilesReload, project: Path, name: str) -> None:
    (project / name).write_text("new")
    assert next_changes(file_reloader) == [project / name]
    assert file_reloader.should_restart() is None


def test_replaced_or_deleted_env_restarts(file_reloader: FilesReload, project: Path) -> None:
    (project / ".env.new").write_text("2")
    (project / ".env.new").replace(project / ".env")  # like editors
    assert next_changes(file_reloader) == [project / ".env"]
    (project / ".env").unlink()
    assert next_changes(file_reloader) == [project / ".env"]


def test_other_files_do_not_restart(file_reloader: FilesReload, project: Path) -> None:
    for name in ("notes.txt", "app/notes.txt", "app/__pycache__/code.py", "templates/.base.html.swp"):
        (project / name).touch()
    (project / "app/code.py").write_text("2")
    assert next_changes(file_reloader) == [project / "app/code.py"]
