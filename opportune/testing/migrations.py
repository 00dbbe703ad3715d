"""Migrations of test databases with Alembic, which `opportune.testing.migration_cache` avoids if it can."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from opportune.config.project import installed_names
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import Migration, MigrationGraph
from opportune.db.migrations.runner import Step, plan_migrations, run_migrations
from opportune.testing.plugin import settings_for
from opportune.testing.unmigrated import require_migrations


def migrate(database_url: str) -> None:
    """Apply the migrations of the installed features."""
    graph = MigrationGraph(installed_names())
    with connect(settings_for(database_url)) as connection:
        run_migrations(connection, graph, plan_migrations(graph))
        require_migrations(connection, graph.features)


def apply_migrations(path: Path, graph: MigrationGraph, states: dict[Migration, Path]) -> None:
    """Apply all migrations to a new file, without search indexes and groups.

    Args:
        path: The file.
        graph: The migrations.
        states: Files of the database after each migration. They are used if they exist, and stored for each feature.
    """
    if last_common_state := next((state for state in reversed(states.values()) if state.exists()), None):
        shutil.copyfile(last_common_state, path)

    @contextmanager
    def store_state_before(step: Step) -> Iterator[None]:
        position = graph.ordered.index(step.migration)
        previous = graph.ordered[position - 1]
        if position and previous.feature != step.migration.feature:
            store_state(path, states[previous])
        yield

    with connect(settings_for(f"sqlite:///{path}")) as connection:
        run_migrations(connection, graph, plan_migrations(graph), store_state_before, derive=False)


def store_state(path: Path, state: Path) -> None:
    """Store a copy of the database, unless another process has done so."""
    if state.exists():
        return
    temporary = state.with_name(uuid4().hex)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(temporary)) as target:
        source.backup(target)
    temporary.replace(state)
