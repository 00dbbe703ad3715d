"""Migrated databases of earlier runs."""

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opportune.testing import migration_cache
from opportune.testing.migration_cache import MAX_FILES, migrate_file


def schema(path: Path) -> list[tuple[str, ...]]:
    """Copied tables have their constraints in any order."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT name, sql FROM sqlite_master UNION ALL SELECT version_num, NULL FROM alembic_version"
        )
        return sorted((name, *sorted(re.split(r",? *\n\t?", sql or ""))) for name, sql in rows)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def test_next_run_copies_the_migrated_file(tmp_path: Path, cache: Path) -> None:
    migrate_file(tmp_path / "first.db", tmp_path, cache)
    [stored] = cache.iterdir()
    with closing(sqlite3.connect(stored)) as database:
        database.execute("CREATE TABLE was_here (id int)")
    migrate_file(tmp_path / "second.db", tmp_path, cache)
    added = {*schema(tmp_path / "second.db")} - {*schema(tmp_path / "first.db")}
    assert added == {("was_here", "CREATE TABLE was_here (id int)")}


def test_migration_that_imports_the_project_is_not_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_cache, "CODE_IMPORT", re.compile("^import sqlalchemy", re.MULTILINE))
    migrate_file(tmp_path / "first.db", tmp_path, cache)
    assert [*cache.iterdir()] == []


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
    assert bool(migration_cache.CODE_IMPORT.search(f"import os\n{line}\n")) is is_code


def test_old_files_are_removed(tmp_path: Path, cache: Path) -> None:
    for number in range(MAX_FILES + 2):
        (cache / f"{number}.db").touch()
        os.utime(cache / f"{number}.db", (number, number))
    migrate_file(tmp_path / "first.db", tmp_path, cache)
    names = {file.name for file in cache.iterdir()}
    assert len(names) == MAX_FILES
    assert not names & {"0.db", "1.db", "2.db"}
