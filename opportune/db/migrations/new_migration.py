"""A migration that is not written yet: its name, its dependencies, its file, and a separate one for its indexes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import indent

from alembic.operations import ops
from sqlalchemy import MetaData

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.naming import Change, choose_title, describe, flatten, slug
from opportune.db.migrations.ownership import read_owners
from opportune.db.migrations.rendering import render_code, write_file
from opportune.errors import OperatorError
from opportune.project.installed import feature_of_table
from opportune.project.layout import USERS

EXPLANATION = """\
# Built concurrently, outside a transaction. A failed attempt leaves an invalid index, so drop it first.
"""


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
    """Write a draft as the newest migration of its feature."""
    newest = graph.newest(draft.feature)
    if newest and newest.number >= int(draft.name[:4]):
        raise OperatorError(f"Another command has written {newest.feature}.{newest.name}. Run makemigrations again.")
    path = graph.folder(draft.feature) / f"{draft.name}.py"
    follows = newest.revision if newest else None
    depends_on = _dependencies(graph, draft)
    write_file(path, draft.upgrade, draft.downgrade, follows=follows, depends_on=depends_on)
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


def split_indexes(draft: NewMigration, title: str | None = None) -> Iterator[NewMigration]:
    """Split a draft in two: the draft without new indexes of existing tables, and a migration that creates them.

    Unique indexes stay in the draft. A draft that would be empty is omitted.
    """
    steps = [*flatten(draft.upgrade)]
    created_tables = {step.table_name for step in steps if isinstance(step, ops.CreateTableOp)}
    replaced_indexes = {step.index_name for step in steps if isinstance(step, ops.DropIndexOp)}
    new_indexes = [step for step in steps if isinstance(step, ops.CreateIndexOp) and not step.unique]
    indexes = [index for index in new_indexes if index.table_name not in created_tables]
    indexes = [index for index in indexes if index.index_name not in replaced_indexes]
    if not indexes:
        yield draft
        return
    names = {index.index_name for index in indexes}
    remaining_steps = list(_without_indexes(draft.upgrade, names))
    moved_changes = {str(change) for change in describe(indexes, draft.feature)}
    name = draft.name
    if remaining_steps:
        yield replace(
            draft,
            upgrade=remaining_steps,
            downgrade=list(_without_indexes(draft.downgrade, names)),
            changes=[change for change in draft.changes if str(change) not in moved_changes],
        )
        name = f"{int(draft.name[:4]) + 1:04}_{_make_title(draft.feature, indexes, title)}"
    drops: Sequence[ops.MigrateOperation] = [index.reverse() for index in reversed(indexes)]
    build = _build_concurrently(indexes)
    yield NewMigration(draft.feature, name, [build], drops, describe(indexes, draft.feature))


def _make_title(feature: str, indexes: Sequence[ops.CreateIndexOp], title: str | None) -> str:
    if title:
        return f"{slug(title)}_indexes"
    short_name = str(indexes[0].index_name).removeprefix(f"ix_{feature}_")
    suffix = "_and_more" if len(indexes) > 1 else ""
    return f"{slug(f'{short_name}_index')}{suffix}"


def _without_indexes(
    operations: Sequence[ops.MigrateOperation], names: set[str | None]
) -> Iterator[ops.MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            if remaining := list(_without_indexes(operation.ops, names)):
                yield ops.ModifyTableOps(operation.table_name, remaining)
        elif getattr(operation, "index_name", None) not in names:
            yield operation


def _build_concurrently(indexes: Sequence[ops.CreateIndexOp]) -> CodeOp:
    lines: list[str] = []
    for index in indexes:
        index.kw["postgresql_concurrently"] = True
        options = f"table_name={index.table_name!r}, if_exists=True, postgresql_concurrently=True"
        lines += [f"op.drop_index({index.index_name!r}, {options})", render_code([index])]
    block = indent("\n".join(lines), "    ")
    return CodeOp("", f"{EXPLANATION}with op.get_context().autocommit_block():\n{block}")
