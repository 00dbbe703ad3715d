"""Migrations of test databases, their cache, and the check that no model lacks one."""

import re
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Table, inspect

from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.feature import Feature
from opportune.project.installed import installed_features, installed_names
from opportune.project.layout import FRAMEWORK, PACKAGE
from opportune.testing.plugin import settings_for

MAX_FILES = 10
"""Number of migrated files to keep in the cache."""
CODE_IMPORT = re.compile(rf"^\s*(from|import)\s+({PACKAGE}|opportune(?!\.db))\b", re.MULTILINE)
"""An import in a migration whose code may change while the migration stays the same."""


def migrate(database_url: str) -> None:
    """Apply the migrations of the installed features."""
    graph = MigrationGraph(installed_names())
    with connect(settings_for(database_url)) as connection:
        _run_all(connection, graph)
        require_migrations(connection, graph.features)


def _run_all(connection: Connection, graph: MigrationGraph, *, derive: bool = True) -> None:
    from opportune.db.migrations.runner import run_migrations  # most runs copy a stored file without Alembic

    run_migrations(connection, graph, derive=derive)


def require_migrations(connection: Connection, names: Collection[str]) -> None:
    """Fail once, instead of in each test, if migrations of these features lack a table or column of their models."""
    tables = inspect(connection).get_multi_columns()
    columns = {name: {column["name"] for column in table} for (_, name), table in tables.items()}
    for feature in installed_features():
        if feature.name in names and (missing := ", ".join(_missing_objects(feature, columns))):
            pytest.fail(
                f"No migration creates {missing}. Run python3 oppman.py makemigrations {feature.name}.", pytrace=False
            )


def _missing_objects(feature: Feature, columns: dict[str, set[str]]) -> Iterator[str]:
    for model in feature.models:
        table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel's tables have it
        if table.name not in columns:
            yield f"the table {table.name}"
        else:
            missing = (column.name for column in table.columns if column.name not in columns[table.name])
            yield from (f"the column {table.name}.{name}" for name in missing)


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
            _run_all(connection, graph, derive=False)
            _store(path, migrated)
            _remove_old_files(cache)
        # Search indexes and groups follow from the code, so they are not part of the stored files.
        with connection.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin():
            run_due_statements(connection)
        require_migrations(connection, graph.features)


def _hash_of(migrations: list[Migration]) -> str:
    versions = (sqlite3.sqlite_version, *map(version, ("alembic", "sqlalchemy")))  # of the programs that run them
    digest = sha256("\n".join(versions).encode())
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


def _remove_old_files(cache: Path) -> None:
    files = sorted(cache.glob("*.db"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[MAX_FILES:]:
        with suppress(OSError):  # removed or opened by another process
            file.unlink()
