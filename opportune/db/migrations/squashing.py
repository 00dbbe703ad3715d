"""Migrations that replace all others of a feature for new databases."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from alembic.operations import ops
from sqlalchemy import MetaData

from opportune.db.migrations.autogenerate import ModelComparison
from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.graph import FRAMEWORK_MIGRATIONS, MigrationGraph
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.new_migration import NewMigration
from opportune.db.migrations.ownership import read_owners
from opportune.db.migrations.plans import plan_migrations
from opportune.db.migrations.recording import record
from opportune.db.migrations.rendering import write_file
from opportune.db.migrations.runner import run_migrations
from opportune.errors import OperatorError
from opportune.project.atomic_files import restored_on_failure
from opportune.project.layout import display_path
from opportune.project.text_files import write_text


class Squash(NamedTuple):
    """Migrations of a feature and their replacement."""

    migrations: Sequence[Migration]
    draft: NewMigration
    path: Path

    @property
    def migrations_with_code(self) -> list[Migration]:
        """Migrations with code or SQL, which the replacement does not contain."""
        types = (CodeOp, ops.ExecuteSQLOp, ops.BulkInsertOp)
        return [
            migration for migration in self.migrations if any(isinstance(step, types) for step in record(migration))
        ]


def plan_squash(graph: MigrationGraph, feature: str, metadata: MetaData) -> Squash:
    """Return the replacement. The models must match the migrations."""
    migrations = graph.migrations_of(feature)
    newest = graph.newest(feature)
    if graph.folder(feature).parent in FRAMEWORK_MIGRATIONS:
        raise OperatorError(f"The migrations of {feature} belong to the framework and cannot be squashed.")
    graph.require_editable(feature)
    if newest is None or len(migrations) < 2:
        raise OperatorError(f"{feature} has fewer than two migrations, so there is nothing to squash.")
    _refuse_interleaved_migrations(graph, migrations)
    _refuse_moved_models(graph, feature, metadata)
    with in_memory_connection() as connection:  # empty, so that the draft creates all tables
        draft = ModelComparison(connection, graph, metadata).draft(feature)
    name = f"{newest.name[:4]}_squashed"
    return Squash(migrations, draft, graph.folder(feature) / f"{name}.py")


def write_squash(graph: MigrationGraph, squash: Squash, metadata: MetaData) -> list[Path]:
    """Replace the files of the migrations, and return changed files of other features that depend on them.

    It has the revision of the last migration, so databases with all migrations need no change.

    Raises:
        OperatorError: The replacement does not match the models, or a file cannot be written. Files are restored.
    """
    replaced_files = [migration.path for migration in squash.migrations]
    removed = {migration.revision for migration in squash.migrations[:-1]}
    others = [other for other in graph.ordered if other not in squash.migrations]
    dependent_files = [other.path for other in others if removed.intersection(other.depends_on)]
    try:
        with restored_on_failure([*replaced_files, *dependent_files, squash.path]):
            for path in replaced_files:
                path.unlink()
            _write(squash)
            for path in dependent_files:
                write_text(path, _replace_revisions(path.read_text(encoding="utf-8"), squash))
            _verify(MigrationGraph(graph.features, graph.versions), squash, metadata)
    except OSError as error:
        path = Path(error.filename or squash.path)
        raise OperatorError(
            f"Nothing was squashed: {display_path(path)} cannot be written: {error.strerror}."
        ) from error
    except OperatorError as error:
        raise OperatorError(f"Nothing was squashed: {error}") from error
    return dependent_files


def _write(squash: Squash) -> None:
    revisions = {migration.revision for migration in squash.migrations}
    needed = sorted({revision for migration in squash.migrations for revision in migration.depends_on} - revisions)
    draft = squash.draft
    revision = squash.migrations[-1].revision
    depends_on = tuple(needed) or None
    write_file(squash.path, draft.upgrade, draft.downgrade, follows=None, depends_on=depends_on, revision=revision)
    text = squash.path.read_text(encoding="utf-8")
    replaced = tuple(old for migration in squash.migrations for old in (*migration.replaces, migration.revision))[:-1]
    with_replaced = text.replace("\ndepends_on =", f"\nreplaces = {replaced!r}\ndepends_on =", 1)
    write_text(squash.path, with_replaced)


def _verify(graph: MigrationGraph, squash: Squash, metadata: MetaData) -> None:
    feature = squash.draft.feature
    with in_memory_connection() as connection:
        run_migrations(connection, graph, plan_migrations(graph, feature), derive=False)
        if changes := ModelComparison(connection, graph, metadata).draft(feature).changes:
            raise OperatorError(f"one migration would not match the models: {changes[0].description}.")


def _refuse_interleaved_migrations(graph: MigrationGraph, migrations: Sequence[Migration]) -> None:
    """Refuse if a migration of another feature must run between them."""
    for migration in migrations:
        for other in graph.needed_by(migration):
            if other not in migrations and set(graph.needed_by(other)) & set(migrations):
                raise OperatorError(
                    f"{other} must run between them: it needs tables of {migration.feature}, and {migration} needs it."
                )


def _refuse_moved_models(graph: MigrationGraph, feature: str, metadata: MetaData) -> None:
    """Refuse if a table that the migrations create belongs to another feature now: no other migration creates it."""
    owners = read_owners(graph, metadata)
    for table, creator in owners.created.items():
        owner = owners.feature_of(table)
        if creator == feature and owner != feature:
            raise OperatorError(f"The migrations of {feature} create {table}, whose model is in {owner} now.")


def _replace_revisions(text: str, squash: Squash) -> str:
    for migration in squash.migrations[:-1]:
        text = re.sub(rf"\b{re.escape(migration.revision)}\b", squash.migrations[-1].revision, text)
    return text
