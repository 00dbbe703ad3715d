"""A migrated SQLite file. All processes of a run apply common migrations once."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from opportune.config.project import installed_names
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import Migration, MigrationGraph
from opportune.db.migrations.runner import Step, plan_for, run_migrations
from opportune.testing.plugin import settings_for
from opportune.testing.unmigrated import require_migrations


def migrate_file(path: Path, states: Path) -> None:
    """Apply the migrations of the installed features to a new file.

    Args:
        path: The file.
        states: Folder of this run for intermediate databases. Runs with other features continue from the last common
            one.
    """
    graph = MigrationGraph(installed_names())
    after = _states(graph.ordered, states)
    if common := next((state for state in reversed(after.values()) if state.exists()), None):
        shutil.copyfile(common, path)

    @contextmanager
    def announce(step: Step) -> Iterator[None]:
        before = graph.ordered[graph.ordered.index(step.migration) - 1]
        if before in after and before.feature != step.migration.feature:
            _store_state(path, after[before])
        yield

    with connect(settings_for(f"sqlite:///{path}")) as connection:
        run_migrations(connection, graph, plan_for(graph), announce)
        require_migrations(connection, graph.features)


def _states(migrations: list[Migration], folder: Path) -> dict[Migration, Path]:
    """Return the file for the database after each migration. Its name is a hash of all migrations up to it."""
    digest, states = sha256(), {}
    for migration in migrations[:-1]:  # the last state also contains objects that follow from the code
        digest.update(f"{migration}\n".encode() + migration.path.read_bytes())
        states[migration] = folder / f"{digest.hexdigest()}.db"
    return states


def _store_state(path: Path, state: Path) -> None:
    if state.exists():
        return
    stored = state.with_name(uuid4().hex)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(stored)) as target:
        source.backup(target)
    stored.replace(state)
