"""Writing migrations: what the models ask for, compared with what the migrations so far have made."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, MetaData

from opportune.config.project import PACKAGE, USERS, display_path, feature_of_table
from opportune.config.settings import Settings
from opportune.db.migrations.backfill import Backfill
from opportune.db.migrations.checks import portable
from opportune.db.migrations.connection import connect, in_memory_connection, migration_url
from opportune.db.migrations.enum_members import EnumMembers
from opportune.db.migrations.expression_indexes import compare_expression_indexes, ignore_reflection_warnings
from opportune.db.migrations.graph import FRAMEWORK_MIGRATIONS, Migration, MigrationGraph
from opportune.db.migrations.history import recorded_revisions
from opportune.db.migrations.mutual_keys import add_mutual_keys_last
from opportune.db.migrations.naming import Change, describe, flatten, name_for, slug
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.postgresql_types import types_to_create
from opportune.db.migrations.python_steps import CodeOp
from opportune.db.migrations.questions import Answers, Rename
from opportune.db.migrations.renaming import (
    apply_rename,
    dropped_names,
    possible_renames,
    rename_operation,
    reversed_rename,
    tables_pointing_at,
)
from opportune.db.migrations.rendering import write_file
from opportune.db.migrations.runner import plan_for, refuse_newer, run_migrations
from opportune.db.migrations.type_changes import add_conversions
from opportune.db.models.mutual_keys import break_cycles
from opportune.errors import OperatorError

Operations = list[ops.MigrateOperation]


@dataclass(frozen=True)
class NewMigration:
    """A migration that is not written yet."""

    feature: str
    name: str
    """Such as `0002_todo_due_on`."""
    upgrade: Sequence[ops.MigrateOperation]
    downgrade: Sequence[ops.MigrateOperation]
    changes: Sequence[Change]
    pointing: Collection[str] = ()
    """Tables, of other features too, that point at what is renamed."""


def changed_features(
    connection: Connection, graph: MigrationGraph, features: Collection[str], metadata: MetaData
) -> list[str]:
    """Those of the features whose models ask for something: one comparison of all takes less than one of each."""
    _, upgrade, _ = _compared(connection, graph, features, metadata)
    tables = {str(getattr(operation, "table_name", "")) for operation in upgrade}  # each is about one, or a group is
    changed = {feature_of_table(table, graph.features) for table in tables}
    return [name for name in features if name in changed]


@contextmanager
def comparison_database(settings: Settings, graph: MigrationGraph) -> Iterator[Connection]:
    """Connect to the database that models are compared with.

    With SQLite that is an empty one in memory with every migration, so the state of the user's own does not matter.
    PostgreSQL's types can only be compared on PostgreSQL: there it is the configured database.
    """
    if migration_url(settings).kind != "postgresql":
        with in_memory_connection() as connection:
            run_migrations(connection, graph, plan_for(graph), derive=False)
            yield connection
        return
    with connect(settings) as connection:
        yield connection


def missing_migrations(connection: Connection, graph: MigrationGraph, features: Collection[str]) -> list[Migration]:
    """Return the migrations of these features that the database lacks: their models cannot be compared with it.

    Raises:
        OperatorError: newer code has migrated the database.
    """
    rows = recorded_revisions(connection)
    refuse_newer(graph, rows)
    return [migration for migration in graph.pending(rows) if migration.feature in features]


def draft_migration(
    connection: Connection,
    graph: MigrationGraph,
    feature: str,
    metadata: MetaData,
    words: str | None = None,
    answers: Answers | None = None,
) -> NewMigration:
    """What the models of a feature ask for beyond its migrations; its `changes` are empty when that is nothing.

    Raises:
        OperatorError: something would be dropped, or a new column leaves existing rows without a value, and nobody has
            said that this is meant.
    """
    answers = answers or Answers()
    renames: list[Rename] = []
    pointing: set[str] = set()
    while True:
        context, upgrade, downgrade = _compared(connection, graph, [feature], metadata)
        candidates = possible_renames(context, upgrade, feature)
        rename = answers.choose(candidates)
        if rename is None:
            break
        pointing |= tables_pointing_at(connection, rename)
        apply_rename(
            connection, rename
        )  # then what is left of the difference is what the new name is not the reason for
        renames.append(rename)
    answers.refuse_drops(dropped_names(upgrade), candidates)
    members = EnumMembers(feature, metadata, answers)
    needed, dropped = types_to_create(connection, upgrade)
    upgrade, downgrade = add_mutual_keys_last(upgrade, downgrade)
    steps = Backfill(feature, metadata, answers).applied(add_conversions(members.upgrade(upgrade)))
    whole = [*needed, *map(rename_operation, renames), *steps]
    back = [
        *add_conversions(members.downgrade(downgrade)),
        *(rename_operation(reversed_rename(rename)) for rename in reversed(renames)),
        *dropped,
    ]
    told = [*needed, *map(rename_operation, renames), *upgrade, *(step for step in steps if isinstance(step, CodeOp))]
    changes = describe(told, feature)
    return NewMigration(feature, _name(graph, feature, changes, words), whole, back, changes, pointing)


def _compared(
    connection: Connection, graph: MigrationGraph, features: Collection[str], metadata: MetaData
) -> tuple[MigrationContext, Operations, Operations]:
    """What makes the database what the models of these features ask for, and what undoes it."""
    break_cycles(metadata)
    context = MigrationContext.configure(connection, opts=_options(graph, features))
    with ignore_reflection_warnings():
        script = produce_migrations(context, metadata)
    tables = [table for table in metadata.sorted_tables if feature_of_table(table.name, graph.features) in features]
    more, less = compare_expression_indexes(connection, tables)
    upgrade = [*(script.upgrade_ops.ops if script.upgrade_ops else ()), *more]
    downgrade = [*less, *(script.downgrade_ops.ops if script.downgrade_ops else ())]
    portable([*upgrade, *downgrade])
    return context, upgrade, downgrade


def refuse_unowned_tables(features: Sequence[str], metadata: MetaData) -> None:
    """Stop before tables are overlooked.

    Raises:
        OperatorError: a model's table is not named after an installed feature.
    """
    if strays := [name for name in metadata.tables if feature_of_table(name, features) is None]:
        owner = strays[0].partition("_")[0]
        if (FRAMEWORK_MIGRATIONS / owner).is_dir():
            raise OperatorError(
                f"What is installed uses {owner}, which {PACKAGE}/installed.py lacks: from opportune.features import "
                f"{owner}, and list it in INSTALLED."
            )
        raise OperatorError(
            f"No feature owns the table '{strays[0]}': let its __tablename__ begin with the name of an installed one, "
            f"as in '{features[-1]}_{strays[0]}', or, if it was there before, its Feature say adopts_tables=True."
        )


def empty_migration(graph: MigrationGraph, feature: str, words: str | None = None) -> NewMigration:
    """A migration without operations, to be filled by hand."""
    return NewMigration(feature, _name(graph, feature, [], words), [], [], [])


def write_migration(graph: MigrationGraph, draft: NewMigration) -> Path:
    """Write a draft as the newest migration of its feature.

    Raises:
        OperatorError: it points at a feature that has no migrations, or its folder cannot be written.
    """
    newest = graph.newest(draft.feature)
    path = graph.folder(draft.feature) / f"{draft.name}.py"
    names = {
        "message": f"{draft.feature}: {draft.name[5:].replace('_', ' ')}",
        "up_revision": f"{draft.feature}_{draft.name[:4]}_{secrets.token_hex(2)}",
        "down_revision": newest.revision if newest else None,
        "branch_labels": None if newest else (draft.feature,),
        "depends_on": _dependencies(graph, draft),
    }
    try:
        write_file(path, draft.upgrade, draft.downgrade, **names)
    except OSError as error:
        raise OperatorError(f"{display_path(path)} cannot be written: {error.strerror}.") from error
    return path


def _options(graph: MigrationGraph, features: Collection[str]) -> dict[str, object]:
    begun = {name for name in features if graph.of(name)}  # what is there of others has not come by a migration

    def there(name: str | None, kind: str, parents: object) -> bool:
        return names(name, kind, parents) and (kind != "table" or owner(name) in begun)

    def names(name: str | None, kind: str, _parents: object) -> bool:
        return not is_derived(name) and (kind != "table" or owner(name) in features)

    def objects(item: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
        if reflected and isinstance(item, ForeignKeyConstraint):  # models refer to models only
            return item.referred_table.schema is None and owner(item.referred_table.name) is not None
        return names(name, kind, None)

    def owner(table: str | None) -> str | None:
        return feature_of_table(table or "", graph.features)

    return {**OPTIONS, "include_name": there, "include_object": objects}


def _name(graph: MigrationGraph, feature: str, changes: Sequence[Change], words: str | None) -> str:
    migrations = graph.of(feature)
    number = max((migration.number for migration in migrations), default=0) + 1
    return f"{number:04}_{slug(words or '') or name_for(changes, first=not migrations)}"


def _dependencies(graph: MigrationGraph, draft: NewMigration) -> tuple[str, ...] | None:
    """The newest migrations of other features whose tables the draft points at, or that point at what it renames."""
    newest = graph.newest(draft.feature)
    known = graph.needed_by(newest) if newest else []
    found: set[str] = set()
    if draft.feature == USERS and newest is None and (made := graph.newest("accounts")):
        found.add(made.revision)  # which has made the table
    for table in {*_tables_pointed_at(draft.upgrade), *draft.pointing}:
        other = feature_of_table(table, graph.features)
        if other in (None, draft.feature):
            continue
        needed = graph.newest(other)
        if needed is None:
            raise OperatorError(f"{draft.feature} points at {table}: run `makemigrations {other}` first.")
        if needed not in known:
            found.add(needed.revision)
    return tuple(sorted(found)) or None


def _tables_pointed_at(operations: Sequence[ops.MigrateOperation]) -> set[str]:
    tables: set[str] = set()
    for operation in flatten(operations):
        match operation:
            case ops.CreateTableOp():
                tables |= {key.target_fullname.split(".")[0] for key in operation.to_table().foreign_keys}
            case ops.CreateForeignKeyOp(referent_table=table):
                tables.add(table)
    return tables
