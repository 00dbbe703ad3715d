"""Restart of `runserver` when files change."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.cli.development import reloader
from opportune.cli.development.reloader import FilesReload, SourceFilter

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


NEW_FILES = ("app/messages.po", "templates/books/form.html")
CHANGED_FILES = ("app/code.py", ".env", "templates/books/list.html")


@pytest.mark.parametrize("name", [*NEW_FILES, *CHANGED_FILES])
def test_written_file_restarts_once(file_reloader: FilesReload, project: Path, name: str) -> None:
    (project / name).write_text("new")
    assert next_changes(file_reloader) == [project / name]
    assert file_reloader.should_restart() is None


@pytest.mark.parametrize("name", [".env", "templates/base.html", "app/code.py"])
def test_deleted_file_restarts(file_reloader: FilesReload, project: Path, name: str) -> None:
    (project / name).unlink()
    assert next_changes(file_reloader) == [project / name]


def test_replaced_env_restarts(file_reloader: FilesReload, project: Path) -> None:
    (project / ".env.new").write_text("2")
    (project / ".env.new").replace(project / ".env")  # like editors
    assert next_changes(file_reloader) == [project / ".env"]


def test_other_files_do_not_restart(file_reloader: FilesReload, project: Path) -> None:
    for name in ("notes.txt", "app/notes.txt", "app/__pycache__/code.py", "templates/.base.html.swp"):
        (project / name).touch()
    (project / "app/code.py").write_text("2")
    assert next_changes(file_reloader) == [project / "app/code.py"]


def test_stop_ends_the_reloader(file_reloader: FilesReload) -> None:
    file_reloader.should_exit.set()
    with pytest.raises(StopIteration):
        file_reloader.should_restart()


def test_failed_watch_is_logged(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(reloader, "watch", refuse)
    with caplog.at_level(logging.WARNING):
        FilesReload([project], target=lambda _: None, sockets=[])._watch([project], SourceFilter(), True)
    assert "WATCHFILES_FORCE_POLLING" in caplog.text
