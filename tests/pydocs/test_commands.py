"""The commands `oppman.py pydocs …`, their documentation, and the job that builds the index."""

import re
import shlex
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from app.pydocs import jobs
from app.pydocs.feature import pydocs
from app.pydocs.jobs import index_python
from app.pydocs.sources.python import PythonSource
from opportune.config.settings import Settings
from opportune.db import DatabaseUrl
from opportune.project.layout import PROJECT
from opportune.testing.commands import Oppman, oppman
from tests.pydocs.search_index import index_settings
from tests.pydocs.sphinx_folder import make_sphinx_folder

__all__ = ["oppman"]  # a fixture

GUIDE = PROJECT / "app/pydocs/README.md"
SHELL_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_sphinx_folder(tmp_path / "html")


@pytest.fixture
def two_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a Python with only two modules."""
    monkeypatch.setattr(PythonSource, "batches", lambda self: ["json", "os.path"])


def test_command_indexes_and_clears_python(oppman: Oppman, empty_database_url: str, two_modules: None) -> None:
    result = oppman("pydocs", "index", PYDOCS_DATABASE_URL=empty_database_url)
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"\d+ entries of Python 3\.\d+\.\d+ in \d+\.\d s\.\n", result.out)
    status_result = oppman("pydocs", "status")
    assert status_result.code == 0
    assert re.fullmatch(r"\d+ entries of Python 3.*, indexed on \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\n", status_result.out)
    assert oppman("pydocs", "clear").out == "The index was removed.\n"
    assert oppman("pydocs", "clear").out == "There was no index.\n"


def test_folder_index_names_skipped_pages(oppman: Oppman, tmp_path: Path, folder: Path) -> None:
    result = oppman("pydocs", "index", str(folder), PYDOCS_DATABASE_URL=f"sqlite:///{tmp_path / 'index.db'}")
    assert result.code == 0
    assert result.out.startswith("9 entries of Shelf 1.2 in ")
    assert result.err == "Skipped missing.html: it cannot be read (No such file or directory)\n"
    assert "Skipped modules or pages: 1." in oppman("pydocs", "status").out


def test_long_list_of_skipped_pages_is_shortened(
    oppman: Oppman, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.contrib.documents.commands.MAX_NAMES_SHOWN", 0)
    result = oppman("pydocs", "index", str(folder), PYDOCS_DATABASE_URL=f"sqlite:///{tmp_path / 'index.db'}")
    assert result.err == "Skipped 1 more.\n"


@pytest.mark.parametrize(
    ("arguments", "url", "message"),
    [
        (["status"], "sqlite:///{folder}/none.db", "There is no index of the documentation yet. Run: "),
        (["index", "{folder}/none"], "sqlite:///{folder}/x.db", "There is no folder "),
        (["index", "{folder}"], "sqlite:///{folder}/x.db", "Pass the folder of HTML pages"),
        (["index"], "sqlite:///{folder}/file/x.db", "cannot be created"),
        (["index"], "mysql://u:hidden@h/x", "PYDOCS_DATABASE_URL begins with mysql://"),
        (["index"], "postgresql://u:hidden@127.0.0.1:1/x", "No server responds at 127.0.0.1:1."),
        (["status"], "postgresql://u:hidden@127.0.0.1:1/x", "No server responds at 127.0.0.1:1."),
        (["clear"], "postgresql://u:hidden@127.0.0.1:1/x", "No server responds at 127.0.0.1:1."),
    ],
)
def test_impossible_command_fails_with_one_line(
    oppman: Oppman, tmp_path: Path, arguments: list[str], url: str, message: str
) -> None:
    (tmp_path / "file").touch()
    command_arguments = [argument.format(folder=tmp_path) for argument in arguments]
    result = oppman("pydocs", *command_arguments, PYDOCS_DATABASE_URL=url.format(folder=tmp_path))
    assert (result.code, result.out) == (1, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert "hidden" not in result.err


@pytest.mark.parametrize("command", [["check"], ["runserver", "--port", "0"]])
def test_invalid_url_is_reported_by_every_command(oppman: Oppman, tmp_path: Path, command: list[str]) -> None:
    url = f"sqlite:///{tmp_path / 'site.db'}"
    result = oppman(*command, DATABASE_URL=url, PYDOCS_DATABASE_URL="mysql://u:hidden@h/x")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "PYDOCS_DATABASE_URL begins with mysql://" in result.out + result.err
    assert "hidden" not in result.out + result.err


def test_commands_of_the_guide_work(
    oppman: Oppman, tmp_path: Path, folder: Path, two_modules: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYDOCS_DATABASE_URL", f"sqlite:///{tmp_path / 'index.db'}")
    lines = [line for block in SHELL_BLOCK.findall(GUIDE.read_text()) for line in block.splitlines()]
    pydocs_lines = [line.partition("  #")[0] for line in lines if line.startswith("python3 oppman.py pydocs")]
    assert len(pydocs_lines) >= 4
    for line in pydocs_lines:
        arguments = shlex.split(line.replace("/usr/share/doc/python3/html", str(folder)))
        assert oppman(*arguments[2:]).code == 0, line


def test_build_reports_its_progress(
    oppman: Oppman, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYDOCS_DATABASE_URL", f"sqlite:///{tmp_path / 'index.db'}")
    monkeypatch.setattr("opportune.cli.output.PLAIN_PROGRESS_SECONDS", 0)
    stderr = oppman("pydocs", "index", str(folder)).err
    assert "Reading: " in stderr
    assert "Writing: " in stderr


class FakeRun:
    """A run of a job with these settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


async def test_job_builds_the_configured_index(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_command = AsyncMock()
    monkeypatch.setattr(jobs, "run_command", run_command)
    run: Any = FakeRun(settings.having(index_settings(f"sqlite:///{tmp_path}/pydocs.db")))

    await index_python.function(cast("Any", run))

    call: Any = run_command.await_args
    assert call.args == ("pydocs", "index")
    assert DatabaseUrl.parse(call.kwargs["environ"]["PYDOCS_DATABASE_URL"]).path == tmp_path / "pydocs.db"


def test_quickstart_queues_the_job() -> None:
    assert [call.job for call in pydocs.jobs.first] == [index_python]
    assert index_python in pydocs.jobs.definitions
