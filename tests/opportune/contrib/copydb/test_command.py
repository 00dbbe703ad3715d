"""`copydb`: copies between databases, dry runs and invalid URLs."""

import re
from pathlib import Path

import pytest

from opportune.db.url.database_url import DatabaseUrl
from tests.opportune.cli.conftest import Oppman
from tests.opportune.contrib.copydb.two_databases import Databases, emails, execute
from tests.opportune.guides import read_guide


def test_tables_are_compared_and_force_replaces_rows(oppman: Oppman, databases: Databases) -> None:
    source, target = databases.create_filled("sqlite", "a@example.com"), databases.create_migrated("postgresql")
    code, out, err = oppman("copydb", source, target)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["TABLE", "ROWS", "CHECKSUM", "OF", "BOTH"]
    (user,) = (line.split() for line in lines if line.startswith("accounts_user"))
    assert user[1] == "1"
    assert len(user[2]) == 16
    assert lines[-1].startswith("Copied 1 row of ")
    assert emails(target) == ["a@example.com"]
    execute(source, "UPDATE accounts_user SET email = 'new@example.com'")
    oppman("copydb", source, target).line()
    assert oppman("copydb", source, target, "--force").code == 0
    assert emails(target) == ["new@example.com"]


@pytest.mark.parametrize(
    ("source", "target", "line"),
    [
        ("{file}", "nonsense", "DST is not a database address"),
        ("{file}", "{file}", "Source and destination are the same file"),
        ("{file}", "postgresql://u:secret@127.0.0.1:1/x", "at 127.0.0.1:1. Is the database running, and is DST"),
        ("{damaged}", "sqlite:///x.db", "is not a SQLite database"),
    ],
)
def test_invalid_url_is_one_line(oppman: Oppman, databases: Databases, source: str, target: str, line: str) -> None:
    file, damaged = databases.create_migrated("sqlite"), databases.missing_url("sqlite")
    DatabaseUrl.parse(damaged).path.write_text("not a database at all " * 50)
    err = oppman("copydb", *(text.format(file=file, damaged=damaged) for text in (source, target))).line()
    assert (line in err, "secret" in err) == (True, False)


def test_documented_commands_work(oppman: Oppman, databases: Databases, tmp_path: Path) -> None:
    guide = read_guide("data.md")
    section = guide.partition("## From SQLite to PostgreSQL")[2]
    replacements = {
        "sqlite:///./data/app.db": databases.create_filled("sqlite", "a@example.com"),
        "postgresql://user:password@host/name": databases.missing_url("postgresql"),
        "data/all.json": str(tmp_path / "all.json"),
        "data/accounts.json": str(tmp_path / "accounts.json"),
    }
    commands = re.findall(r"^python3 oppman\.py ((?:copydb|dumpdata|loaddata) .+)$", section, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        arguments = [replacements.get(word, word) for word in command.split()]
        assert oppman(*arguments, DATABASE_URL=replacements["sqlite:///./data/app.db"]).code == 0, command
    assert emails(replacements["postgresql://user:password@host/name"]) == ["a@example.com"]
