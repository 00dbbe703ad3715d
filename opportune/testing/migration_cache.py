"""A migrated SQLite file. Runs with the same migrations share it, and those with other features share common parts."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from opportune.config.project import FRAMEWORK, PACKAGE, installed_names
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import Migration, MigrationGraph
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.testing.plugin import settings_for
from opportune.testing.unmigrated import require_migrations

MAX_FILES = 10
"""Number of migrated files to keep in the cache."""
CODE_IMPORT = re.compile(rf"^\s*(from|import)\s+({PACKAGE}|opportune(?!\.db))\b", re.MULTILINE)
"""An import in a migration whose code may change while the migration stays the same."""


def migrate_file(path: Path, states: Path, cache: Path) -> None:
    """Apply the migrations of the installed features to a new file.

    Args:
        path: The file.
        states: Folder of this run for intermediate databases. Runs with other features continue from the last common
            one.
        cache: Folder for migrated databases, which later runs copy instead of running Alembic.
    """
    graph = MigrationGraph(installed_names())
    state_files = _state_files(graph.ordered, states)
    *_, migrated = state_files.values()
    if not any(CODE_IMPORT.search(migration.path.read_text("utf-8")) for migration in graph.ordered):
        migrated = cache / migrated.name
    if migrated.exists():
        shutil.copyfile(migrated, path)
    else:
        from opportune.testing.migrations import apply_migrations, store_state

        apply_migrations(path, graph, state_files)
        store_state(path, migrated)
        _remove_old_files(cache)
    with connect(settings_for(f"sqlite:///{path}")) as connection:
        # Search indexes and groups follow from the code, so they are not part of the stored files.
        with connection.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin():
            run_due_statements(connection)
        require_migrations(connection, graph.features)


def _state_files(migrations: list[Migration], folder: Path) -> dict[Migration, Path]:
    """Return the file for the database after each migration. Its name is a hash of all migrations up to it."""
    digest, states = sha256("\n".join(_versions()).encode()), {}
    for file in sorted((FRAMEWORK / "db").rglob("*.py")):
        digest.update(file.read_bytes())
    for migration in migrations:
        digest.update(f"{migration}\n".encode() + migration.path.read_bytes())
        states[migration] = folder / f"{digest.hexdigest()}.db"
    return states


def _versions() -> Iterator[str]:
    """Yield the versions of the programs that run migrations."""
    yield sqlite3.sqlite_version
    yield from map(version, ("alembic", "sqlalchemy"))


def _remove_old_files(cache: Path) -> None:
    files = sorted(cache.glob("*.db"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[MAX_FILES:]:
        with suppress(OSError):  # removed or opened by another process
            file.unlink()
