"""A migration that is not written yet: its name, its dependencies and its file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alembic.operations import ops
from sqlalchemy import MetaData

from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.naming import Change, choose_title, flatten, slug
from opportune.db.migrations.ownership import read_owners
from opportune.db.migrations.rendering import write_file
from opportune.errors import OperatorError
from opportune.project.installed import feature_of_table
from opportune.project.layout import USERS, display_path


@dataclass(frozen=True)
class NewMigration:
    """Migration whose file is not written yet."""

    feature: str
    name: str
    """For example `0002_todo_due_on`."""
    upgrade: Sequence[ops.MigrateOperation]
    downgrade: Sequence[ops.MigrateOperation]
    changes: Sequence[Change]
    referencing: Collection[str] = ()
    """Tables, also of other features, that reference a renamed table or column, or a dropped table."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Features by table of a model."""


def create_empty_migration(graph: MigrationGraph, feature: str, title: str | None = None) -> NewMigration:
    """Return a migration without operations, to edit by hand."""
    return NewMigration(feature, choose_name(graph, feature, [], title), [], [], [])


def write_migration(graph: MigrationGraph, draft: NewMigration) -> Path:
    """Write a draft as the newest migration of its feature.

    Raises:
        OperatorError: It references a feature without migrations, or its folder cannot be written.
    """
    newest = graph.newest(draft.feature)
    path = graph.folder(draft.feature) / f"{draft.name}.py"
    follows = newest.revision if newest else None
    depends_on = _dependencies(graph, draft)
    try:
        write_file(path, draft.upgrade, draft.downgrade, follows=follows, depends_on=depends_on)
    except OSError as error:
        raise OperatorError(f"{display_path(path)} cannot be written: {error.strerror}.") from error
    return path


def choose_name(graph: MigrationGraph, feature: str, changes: Sequence[Change], title: str | None) -> str:
    """Return the name of the next migration of a feature: its number and its title, or words for the changes."""
    migrations = graph.migrations_of(feature)
    number = max((migration.number for migration in migrations), default=0) + 1
    return f"{number:04}_{slug(title or '') or choose_title(changes, is_first=not migrations)}"


def _dependencies(graph: MigrationGraph, draft: NewMigration) -> tuple[str, ...] | None:
    """Return the newest revisions of other features that the draft references, or that reference a renamed name."""
    newest = graph.newest(draft.feature)
    ancestors = graph.needed_by(newest) if newest else []
    revisions: set[str] = set()
    if draft.feature == USERS and newest is None and (accounts := graph.newest("accounts")):
        revisions.add(accounts.revision)  # it creates the table of users
    creators = read_owners(graph, MetaData()).created
    for table in {*_referenced_tables(draft.upgrade), *draft.referencing}:
        other = _find_other_owner(graph, draft, table, creators)
        if other is None:
            continue
        needed = graph.newest(other)
        if needed is None:
            raise OperatorError(f"{draft.feature} references {table}. Run `makemigrations {other}` first.")
        if needed not in ancestors:
            revisions.add(needed.revision)
    return tuple(sorted(revisions)) or None


def _find_other_owner(
    graph: MigrationGraph, draft: NewMigration, table: str, creators: Mapping[str, str]
) -> str | None:
    """Return the other feature whose migrations have the table. None if the draft's feature or no feature has it."""
    # In other projects, users have other migrations.
    belongs_to_project = graph.folder(draft.feature).parent == graph.versions
    features = [name for name in graph.features if name != USERS or belongs_to_project]
    owner = draft.owners.get(table)
    if owner not in features:
        owner = feature_of_table(table, features)
    if owner == draft.feature or not (owner and graph.migrations_of(owner)):
        owner = creators.get(table, owner)  # the model has moved to another feature since
    return None if owner == draft.feature else owner


def _referenced_tables(operations: Sequence[ops.MigrateOperation]) -> set[str]:
    tables: set[str] = set()
    for operation in flatten(operations):
        match operation:
            case ops.CreateTableOp():
                tables |= {key.target_fullname.split(".")[0] for key in operation.to_table().foreign_keys}
            case ops.CreateForeignKeyOp(referent_table=table):
                tables.add(table)
    return tables
