"""The commands `oppman.py pydocs …`, their documentation, and the job that builds the index."""

import re
import shlex
from pathlib import Path

import pytest

from app.pydocs.sources.python import PythonSource
from opportune.project.layout import PROJECT
from opportune.testing.commands import Oppman, oppman

__all__ = ["oppman"]  # a fixture

GUIDE = PROJECT / "app/pydocs/README.md"
SHELL_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


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


@pytest.mark.parametrize(
    ("arguments", "url", "message"),
    [
        (["status"], "sqlite:///{folder}/none.db", "There is no index of the documentation yet. Run: "),
        (["index", "{folder}/none"], "sqlite:///{folder}/x.db", "There is no folder "),
        (["index"], "sqlite:///{folder}/file/x.db", "cannot be created"),
        (["index"], "postgresql://u:hidden@127.0.0.1:1/x", "No server responds at 127.0.0.1:1."),
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


def test_invalid_url_is_reported_by_every_command(oppman: Oppman, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'site.db'}"
    result = oppman("check", DATABASE_URL=url, PYDOCS_DATABASE_URL="mysql://u:hidden@h/x")
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
