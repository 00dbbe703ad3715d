"""A partly migrated file can be the start of another migration."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opportune.config import project
from opportune.config.project import installed_names
from opportune.testing import migration_cache
from opportune.testing.migration_cache import migrate_file
from opportune.testing.plugin import migrate


def schema(path: Path) -> list[tuple[str, ...]]:
    """Copied tables have their constraints in any order."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT name, sql FROM sqlite_master UNION ALL SELECT version_num, NULL FROM alembic_version"
        )
        return sorted((name, *sorted(re.split(r",? *\n\t?", sql or ""))) for name, sql in rows)


@pytest.fixture
def states(tmp_path: Path) -> Path:
    folder = tmp_path / "states"
    folder.mkdir()
    return folder


def test_migrated_file_equals_a_fresh_migration(tmp_path: Path, states: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States of the migrated features."""
    names = installed_names()[:6]
    for module in (project, migration_cache):
        monkeypatch.setattr(module, "installed_names", lambda: names)
    migrate(f"sqlite:///{tmp_path}/alone.db")
    everything = schema(tmp_path / "alone.db")
    for name in ("first.db", "second.db"):
        migrate_file(tmp_path / name, states)
        assert schema(tmp_path / name) == everything
    for state in states.iterdir():
        with closing(sqlite3.connect(state)) as database:
            database.execute("CREATE TABLE was_here (id int)")
    monkeypatch.setattr(migration_cache, "installed_names", lambda: names[:3])
    migrate_file(tmp_path / "one.db", states)
    fewer = schema(tmp_path / "one.db")
    assert ("was_here", "CREATE TABLE was_here (id int)") in fewer
    assert len(fewer) < len(everything)
