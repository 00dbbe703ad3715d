"""Commands on a SQLite database that is read into memory, and so cannot be written."""

from pathlib import Path

import pytest

from opportune.cli.development.runserver import check_database
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman


@pytest.fixture
def path(sqlite_template: Path) -> Path:
    return sqlite_template


@pytest.fixture
def message(path: Path) -> str:
    return f"sqlite+memory:///{path} is read into memory and cannot be written. To write, set DATABASE_URL to sqlite:///{path}"


COMMANDS = [
    ["migrate"],
    ["showmigrations"],
    ["createsuperuser", "--email", "a@example.com", "--password", "a long password 12"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
def test_writing_commands_are_refused(oppman: Oppman, path: Path, message: str, command: list[str]) -> None:
    content = path.read_bytes()
    assert oppman(*command, DATABASE_URL=f"sqlite+memory:///{path}") == (1, "", f"{message}\n")
    assert path.read_bytes() == content


def test_missing_file_is_not_created(oppman: Oppman, tmp_path: Path) -> None:
    code, _, err = oppman("migrate", DATABASE_URL=f"sqlite+memory:///{tmp_path}/none.db")
    assert (code, err.count("\n"), list(tmp_path.iterdir())) == (1, 1, [])


def test_server_starts_with_a_notice(path: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    check_database(settings_for(f"sqlite+memory:///{path}"), migrate=False)
    assert capsys.readouterr().err == f"{message}\n"
