import os
from pathlib import Path

import pytest
import uvicorn

from opportune.cli import reloader
from opportune.cli.reloader import FilesReload


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "templates/books").mkdir(parents=True)
    for name in ("code.py", ".env", "templates/base.html", "templates/books/list.html"):
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(reloader, "PROJECT", tmp_path)
    monkeypatch.setattr(reloader, "TEMPLATE_FOLDERS", [tmp_path / "templates"])
    return tmp_path


@pytest.fixture
def watching(project: Path) -> FilesReload:
    config = uvicorn.Config("no:app", reload=True, reload_dirs=[str(project)], reload_delay=0)
    watching = FilesReload(config, target=lambda _: None, sockets=[])
    assert watching.should_restart() is None
    return watching


@pytest.mark.parametrize("name", ["code.py", ".env", "templates/books/list.html"])
def test_what_changes_restarts_the_server_once(watching: FilesReload, project: Path, name: str) -> None:
    path = project / name
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 1))
    assert watching.should_restart() == [path]
    watching.mtimes = {}  # as a restart does
    assert watching.should_restart() is None


def test_a_template_that_comes_or_goes_and_a_first_env_restart_it(watching: FilesReload, project: Path) -> None:
    (new := project / "templates/books/form.html").touch()
    assert watching.should_restart() == [new]
    (old := project / "templates/base.html").unlink()
    (project / ".env").unlink()
    assert watching.should_restart() == [project / ".env", old]


def test_other_files_do_not(watching: FilesReload, project: Path) -> None:
    (project / "notes.txt").touch()
    assert watching.should_restart() is None


def test_no_path_is_resolved_to_see_whether_something_changed(
    watching: FilesReload, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is looked several times a second, at each file of the framework, for as long as somebody works on the site.
    def refuse(path: object, **_options: object) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(os.path, "realpath", refuse)
    assert watching.should_restart() is None
