"""A database that is as `migrate` has left it is told without importing the site."""

from pathlib import Path

import pytest
from sqlalchemy import text

from opportune.cli import call_command, migrate
from opportune.db.migrations import unchanged
from opportune.db.migrations.connection import connect
from opportune.settings import Settings

SAYS = "Running migrations:\n  No migrations to apply.\n"


class SlowError(Exception):
    pass


@pytest.fixture
def migrated(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a database that `migrate` has looked at; whoever imports the features from here on fails."""

    def fail() -> None:
        raise SlowError

    monkeypatch.setattr(unchanged, "MEMORY", tmp_path / "cache/migrated.json")
    monkeypatch.setattr(unchanged, "fingerprint", lambda: "this code")
    assert call_command("migrate", settings=settings).endswith(SAYS)
    monkeypatch.setattr(migrate, "installed_names", fail)
    return settings


@pytest.mark.database("sqlite")
def test_the_second_look_imports_nothing_and_says_the_same(migrated: Settings) -> None:
    said = call_command("migrate", settings=migrated)
    assert said.startswith("Operations to perform:\n  Apply all migrations: accounts, ")
    assert said.endswith(SAYS)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM alembic_version WHERE version_num LIKE 'jobs_%'",
        "INSERT INTO alembic_version VALUES ('jobs_0099_abcd')",
        "INSERT INTO alembic_version VALUES ('gone_0001_abcd')",
        "DELETE FROM accounts_shipped_grant",
    ],
)
@pytest.mark.database("sqlite")
def test_what_the_database_has_otherwise_is_looked_at(migrated: Settings, statement: str) -> None:
    with connect(migrated) as connection:
        changed = connection.execute(text(statement)).rowcount
        connection.commit()
    if changed:  # a project may ship no groups
        with pytest.raises(SlowError):
            call_command("migrate", settings=migrated)


@pytest.mark.database("sqlite")
def test_other_code_other_words_and_damage_are_looked_at(migrated: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["jobs"], ["--check"], ["--fake-initial"]):
        with pytest.raises(SlowError):
            call_command("migrate", *words, settings=migrated)
    monkeypatch.setattr(unchanged, "fingerprint", lambda: "other code")
    with pytest.raises(SlowError):
        call_command("migrate", settings=migrated)
    monkeypatch.setattr(unchanged, "fingerprint", lambda: "this code")
    unchanged.MEMORY.write_text("{")
    with pytest.raises(SlowError):
        call_command("migrate", settings=migrated)


def test_the_code_is_told_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "PROJECT", tmp_path)
    (tmp_path / "app").mkdir()
    first = unchanged.fingerprint()
    assert unchanged.fingerprint() == first
    (tmp_path / "app/models.py").write_text("")
    assert unchanged.fingerprint() != first


@pytest.mark.database("sqlite")
def test_a_project_that_cannot_be_written_in_is_migrated_all_the_same(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(unchanged, "MEMORY", tmp_path / "file" / "migrated.json")
    assert call_command("migrate", settings=settings).endswith(SAYS)
