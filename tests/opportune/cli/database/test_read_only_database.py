"""Commands on a SQLite database that is read into memory, and so cannot be written."""

from pathlib import Path

import pytest

from opportune.cli.development.runserver import check_database
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman


def read_only_message(path: Path) -> str:
    reason = f"sqlite+memory:///{path} is read into memory and cannot be written"
    return f"{reason}. To write, set DATABASE_URL to sqlite:///{path}\n"


@pytest.mark.parametrize(
    "command",
    [
        ["migrate"],
        ["showmigrations"],
        ["createsuperuser", "--email", "a@example.com", "--password", "a long password 12"],
    ],
    ids=lambda command: command[0],
)
def test_writing_commands_are_refused(oppman: Oppman, sqlite_template: Path, command: list[str]) -> None:
    content = sqlite_template.read_bytes()
    outcome = oppman(*command, DATABASE_URL=f"sqlite+memory:///{sqlite_template}")
    assert outcome == (1, "", read_only_message(sqlite_template))
    assert sqlite_template.read_bytes() == content


def test_missing_file_is_not_created(oppman: Oppman, tmp_path: Path) -> None:
    oppman("migrate", DATABASE_URL=f"sqlite+memory:///{tmp_path}/none.db").line()
    assert list(tmp_path.iterdir()) == []


def test_server_starts_with_a_notice(sqlite_template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_database(settings_for(f"sqlite+memory:///{sqlite_template}"), migrate=False)
    assert capsys.readouterr().err == read_only_message(sqlite_template)
