"""A migrated SQLite file, which later runs with the same migrations copy."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import Migration, MigrationGraph
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.project.layout import FRAMEWORK, PACKAGE, installed_names
from opportune.testing.migrations import require_migrations
from opportune.testing.plugin import settings_for

MAX_FILES = 10
"""Number of migrated files to keep in the cache."""
CODE_IMPORT = re.compile(rf"^\s*(from|import)\s+({PACKAGE}|opportune(?!\.db))\b", re.MULTILINE)
"""An import in a migration whose code may change while the migration stays the same."""


def migrate_file(path: Path, run_folder: Path, cache: Path) -> None:
    """Apply the migrations of the installed features to a new file.

    Args:
        path: The file.
        run_folder: Folder that the processes of this run share, for migrations with code that may change.
        cache: Folder for migrated databases, which later runs copy instead of running Alembic.
    """
    graph = MigrationGraph(installed_names())
    if any(CODE_IMPORT.search(migration.path.read_text("utf-8")) for migration in graph.ordered):
        cache = run_folder
    migrated = cache / f"{_hash_of(graph.ordered)}.db"
    if migrated.exists():
        shutil.copyfile(migrated, path)
    with connect(settings_for(f"sqlite:///{path}")) as connection:
        if not migrated.exists():
            from opportune.db.migrations.runner import run_migrations

            run_migrations(connection, graph, derive=False)
            _store(path, migrated)
            _remove_old_files(cache)
        # Search indexes and groups follow from the code, so they are not part of the stored files.
        with connection.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin():
            run_due_statements(connection)
        require_migrations(connection, graph.features)


def _hash_of(migrations: list[Migration]) -> str:
    digest = sha256("\n".join(_versions()).encode())
    for file in sorted((FRAMEWORK / "db").rglob("*.py")):
        digest.update(file.read_bytes())
    for migration in migrations:
        digest.update(f"{migration}\n".encode() + migration.path.read_bytes())
    return digest.hexdigest()


def _store(path: Path, migrated: Path) -> None:
    """Store a copy of the database. Other processes may do the same."""
    temporary = migrated.with_name(uuid4().hex)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(temporary)) as target:
        source.backup(target)
    temporary.replace(migrated)


def _versions() -> Iterator[str]:
    """Yield the versions of the programs that run migrations."""
    yield sqlite3.sqlite_version
    yield from map(version, ("alembic", "sqlalchemy"))


def _remove_old_files(cache: Path) -> None:
    files = sorted(cache.glob("*.db"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[MAX_FILES:]:
        with suppress(OSError):  # removed or opened by another process
            file.unlink()
