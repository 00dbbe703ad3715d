"""Restart of `runserver` when files change."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

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
def watching(project: Path) -> Iterator[FilesReload]:
    """A reloader whose two watchers have already reported a change."""
    config = uvicorn.Config("no:app", reload=True, reload_dirs=[str(project / "app")])
    watching = FilesReload(config, target=lambda _: None, sockets=[])
    watching.start_watching()
    for name in ("app/code.py", ".env"):
        change(watching, project / name)
    while watching.should_restart():
        pass
    yield watching
    watching.should_exit.set()


def change(watching: FilesReload, path: Path) -> None:
    """Write to a file until the reloader reports it."""
    for number in range(MAX_TRIES):
        path.write_text(str(number))
        if path in (watching.should_restart() or []):
            return
    raise AssertionError(f"{path} was not reported")


def next_changes(watching: FilesReload) -> list[Path]:
    return next(filter(None, (watching.should_restart() for _ in range(MAX_TRIES))))


@pytest.mark.parametrize("name", ["app/code.py", ".env", "templates/books/list.html", "templates/books/form.html"])
def test_changed_or_new_file_restarts_once(watching: FilesReload, project: Path, name: str) -> None:
    (project / name).write_text("new")
    assert next_changes(watching) == [project / name]
    assert watching.should_restart() is None


@pytest.mark.parametrize("name", [".env", "templates/base.html", "app/code.py"])
def test_deleted_file_restarts(watching: FilesReload, project: Path, name: str) -> None:
    (project / name).unlink()
    assert next_changes(watching) == [project / name]


def test_replaced_env_restarts(watching: FilesReload, project: Path) -> None:
    (project / ".env.new").write_text("2")
    (project / ".env.new").replace(project / ".env")  # like editors
    assert next_changes(watching) == [project / ".env"]


def test_other_files_do_not_restart(watching: FilesReload, project: Path) -> None:
    for name in ("notes.txt", "app/notes.txt", "app/__pycache__/code.py", "templates/.base.html.swp"):
        (project / name).touch()
    (project / "app/code.py").write_text("2")
    assert next_changes(watching) == [project / "app/code.py"]


def test_stop_ends_the_reloader(watching: FilesReload) -> None:
    watching.should_exit.set()
    with pytest.raises(StopIteration):
        watching.should_restart()


def test_failed_watch_is_logged(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(reloader, "watch", refuse)
    config = uvicorn.Config("no:app", reload=True, reload_dirs=[str(project / "app")])
    with caplog.at_level(logging.WARNING):
        FilesReload(config, target=lambda _: None, sockets=[])._watch([project], True)
    assert "WATCHFILES_FORCE_POLLING" in caplog.text
