"""Migrated databases of tests: the cache, and models without a migration."""

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from opportune.db.migrations.connection import connect
from opportune.testing import migrations
from opportune.testing.migrations import MAX_FILES, migrate_file, require_migrations
from opportune.testing.plugin import settings_for


def schema(path: Path) -> list[tuple[str, ...]]:
    """Copied tables have their constraints in any order."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT name, sql FROM sqlite_master UNION ALL SELECT version_num, NULL FROM alembic_version"
        )
        return sorted((name, *sorted(re.split(r",? *\n\t?", sql or ""))) for name, sql in rows)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with more files of earlier runs than it keeps."""
    folder = tmp_path_factory.mktemp("cache")
    for number in range(MAX_FILES + 2):
        (folder / f"{number}.db").touch()
        os.utime(folder / f"{number}.db", (number, number))
    return folder


@pytest.fixture(scope="module")
def first_file(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run that migrates it."""
    folder = tmp_path_factory.mktemp("first")
    migrate_file(folder / "first.db", folder, cache)
    return folder / "first.db"


def test_next_run_copies_the_migrated_file(first_file: Path, tmp_path: Path, cache: Path) -> None:
    stored = max(cache.iterdir(), key=lambda file: file.stat().st_mtime)
    with closing(sqlite3.connect(stored)) as database:
        database.execute("CREATE TABLE was_here (id int)")
    migrate_file(tmp_path / "second.db", tmp_path, cache)
    added = {*schema(tmp_path / "second.db")} - {*schema(first_file)}
    assert added == {("was_here", "CREATE TABLE was_here (id int)")}


@pytest.mark.usefixtures("first_file")
def test_old_files_are_removed(cache: Path) -> None:
    names = {file.name for file in cache.iterdir()}
    assert len(names) == MAX_FILES
    assert not names & {"0.db", "1.db", "2.db"}


def test_migration_that_imports_the_project_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "CODE_IMPORT", re.compile("^import sqlalchemy", re.MULTILINE))
    (tmp_path / "cache").mkdir()
    migrate_file(tmp_path / "first.db", tmp_path, tmp_path / "cache")
    assert [*(tmp_path / "cache").iterdir()] == []


@pytest.mark.parametrize(
    ("line", "is_code"),
    [
        ("from app.books.types import Isbn", True),
        ("    import app", True),
        ("import opportune.fields", True),
        ("from opportune.db.migrations import backfill", False),
        ("from alembic import op", False),
        ("import apples", False),
    ],
)
def test_migration_imports_of_changing_code(line: str, *, is_code: bool) -> None:
    assert bool(migrations.CODE_IMPORT.search(f"import os\n{line}\n")) is is_code


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE jobs_job", "No migration creates the table jobs_job. Run python3 oppman.py makemigrations jobs."),
        ("ALTER TABLE jobs_job RENAME COLUMN attempt TO tries", r"No migration creates the column jobs_job\.attempt\."),
    ],
)
def test_missing_migration_is_reported_with_the_next_step(database_url: str, change: str, message: str) -> None:
    with connect(settings_for(database_url)) as connection:
        require_migrations(connection, ["jobs"])
        connection.execute(text(change))
        with pytest.raises(pytest.fail.Exception, match=message) as failed:
            require_migrations(connection, ["jobs"])
    assert not failed.value.pytrace
