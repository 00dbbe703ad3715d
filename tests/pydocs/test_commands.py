"""`oppman.py pydocs ...` and its documentation."""

import re
import shlex
from pathlib import Path

import pytest

from app.pydocs import commands
from app.pydocs.sources.python import PythonSource
from opportune.config.project import PROJECT
from opportune.search import Batch
from opportune.testing import call_command
from opportune.testing.commands import Oppman, oppman
from tests.pydocs.sphinx_folder import make_folder

__all__ = ["oppman"]  # a fixture

GUIDE = PROJECT / "app/pydocs/README.md"
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "html")


@pytest.fixture
def small_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a Python with only two modules."""
    monkeypatch.setattr(PythonSource, "batches", lambda self: [Batch("json", ""), Batch("os.path", "")])


@pytest.mark.database("sqlite")
def test_command_indexes_and_clears_python(oppman: Oppman, empty_database_url: str, small_python: None) -> None:
    done = oppman("pydocs", "index", PYDOCS_DATABASE_URL=empty_database_url)
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"\d+ entries of Python 3\.\d+\.\d+ in \d+\.\d s\.\n", done.out)
    outcome = oppman("pydocs", "status")
    assert outcome.code == 0
    assert re.fullmatch(r"\d+ entries of Python 3.*, indexed on \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\n", outcome.out)
    assert oppman("pydocs", "clear").out == "The index was removed.\n"
    assert oppman("pydocs", "clear").out == "There was no index.\n"


def test_folder_index_names_skipped_pages(oppman: Oppman, tmp_path: Path, folder: Path) -> None:
    done = oppman("pydocs", "index", str(folder), PYDOCS_DATABASE_URL=f"sqlite:///{tmp_path / 'index.db'}")
    assert done.code == 0
    assert done.out.startswith("9 entries of Shelf 1.2 in ")
    assert done.err == "Skipped missing.html: it cannot be read (No such file or directory)\n"
    assert "Skipped modules or pages: 1." in oppman("pydocs", "status").out


def test_long_list_of_skipped_pages_is_cut(
    oppman: Oppman, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.search.documents.commands.MAX_NAMES_SHOWN", 0)
    done = oppman("pydocs", "index", str(folder), PYDOCS_DATABASE_URL=f"sqlite:///{tmp_path / 'index.db'}")
    assert done.err == "Skipped 1 more.\n"


def test_ctrl_c_says_how_to_go_on(
    oppman: Oppman, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.pydocs.sources.sphinx.SphinxSource.read", interrupted)
    done = oppman("pydocs", "index", str(folder), PYDOCS_DATABASE_URL=f"sqlite:///{tmp_path / 'index.db'}")
    assert (done.code, done.out) == (130, "")
    assert done.err == "Stopped. The old index is unchanged. Run the same command to continue.\n"


@pytest.mark.parametrize(
    ("arguments", "url", "words"),
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
def test_what_cannot_be_done_is_one_line(
    oppman: Oppman, tmp_path: Path, arguments: list[str], url: str, words: str
) -> None:
    (tmp_path / "file").touch()
    words_given = [argument.format(folder=tmp_path) for argument in arguments]
    done = oppman("pydocs", *words_given, PYDOCS_DATABASE_URL=url.format(folder=tmp_path))
    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert done.err.count("\n") == 1
    assert "hidden" not in done.err


@pytest.mark.parametrize("command", [["check"], ["runserver", "--port", "0"]])
def test_invalid_address_is_reported_first(oppman: Oppman, tmp_path: Path, command: list[str]) -> None:
    url = f"sqlite:///{tmp_path / 'site.db'}"
    done = oppman(*command, DATABASE_URL=url, PYDOCS_DATABASE_URL="mysql://u:hidden@h/x")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "PYDOCS_DATABASE_URL begins with mysql://" in done.out + done.err
    assert "hidden" not in done.out + done.err


def test_guide_shows_commands_and_output() -> None:
    guide = GUIDE.read_text()
    assert str(commands.__doc__) in guide
    for name in ("index", "status", "clear"):
        assert call_command("pydocs", name, "--help")
        assert f"python3 oppman.py pydocs {name}" in guide


def test_the_commands_of_the_guide_run(
    oppman: Oppman, tmp_path: Path, folder: Path, small_python: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYDOCS_DATABASE_URL", f"sqlite:///{tmp_path / 'index.db'}")
    lines = [line for block in SHELL.findall(GUIDE.read_text()) for line in block.splitlines()]
    ours = [line.partition("  #")[0] for line in lines if line.startswith("python3 oppman.py pydocs")]
    assert len(ours) >= 4
    for line in ours:
        words = shlex.split(line.replace("/usr/share/doc/python3/html", str(folder)))
        assert oppman(*words[2:]).code == 0, line


def test_building_tells_how_far_it_is(
    oppman: Oppman, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYDOCS_DATABASE_URL", f"sqlite:///{tmp_path / 'index.db'}")
    monkeypatch.setattr("opportune.cli.output.PLAIN_PROGRESS_SECONDS", 0)
    stderr = oppman("pydocs", "index", str(folder)).err
    assert "Reading: " in stderr
    assert "Writing: " in stderr
