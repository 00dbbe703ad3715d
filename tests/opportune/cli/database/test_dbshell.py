"""`dbshell`: the started program, its arguments and its environment."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from opportune.cli.database import dbshell
from opportune.config.settings import Settings
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman

ADDRESS = "host=db.example dbname=site user=ann port=6432 sslmode=require"


class ExecutedProgram(Exception):
    """Raised instead of replacing the process, with the command and its environment."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        self.command = command
        self.environ = environ


def run_dbshell(*arguments: str) -> ExecutedProgram:
    with pytest.raises(ExecutedProgram) as caught:
        dbshell.command(list(arguments))
    return caught.value


@pytest.fixture(autouse=True)
def _no_real_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def record_program(command: list[str], environ: Mapping[str, str]) -> None:
        raise ExecutedProgram(command, environ)

    monkeypatch.setattr(dbshell, "exec_process", record_program)
    monkeypatch.setattr(shutil, "which", lambda name: name if name in {"sqlite3", "psql"} else None)


def use_database(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(dbshell, "get_settings", lambda: settings_for(url))


def test_sqlite_opens_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.db"
    path.touch()
    use_database(monkeypatch, f"sqlite:///{path}")
    assert run_dbshell("select 1").command == ["sqlite3", str(path), "select 1"]


def test_missing_file_is_not_created(oppman: Oppman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_database(monkeypatch, f"sqlite:///{tmp_path}/site.db")
    assert "python3 oppman.py migrate" in oppman("dbshell").line()
    assert not (tmp_path / "site.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgres://ann:se%20same@db.example:6432/site?sslmode=require",
        "postgres://ann@db.example:6432/site?password=se%20same&sslmode=require",
    ],
)
def test_password_is_not_on_the_command_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect_successfully(_settings: Settings) -> None:
        pass

    use_database(monkeypatch, url)
    monkeypatch.setattr(dbshell, "check_connection", connect_successfully)
    program = run_dbshell("-c", "select 1")
    assert program.command == ["psql", ADDRESS, "-c", "select 1"]
    assert program.environ["PGPASSWORD"] == "se same"
