"""Generation of migrations: compares models with the tables that existing migrations create."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeGuard

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, MetaData

from opportune.config.settings import Settings
from opportune.db.migrations import questions
from opportune.db.migrations.backfill import Backfill
from opportune.db.migrations.code_operations import CodeOp, separate_code
from opportune.db.migrations.comparisons import make_portable, refuse_generated_column_changes, refuse_identity_changes
from opportune.db.migrations.connection import connect, in_memory_connection
from opportune.db.migrations.enum_members import EnumMembers
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.naming import describe, flatten
from opportune.db.migrations.new_migration import NewMigration, choose_name
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.ownership import TableOwners, read_owners
from opportune.db.migrations.plans import refuse_newer
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.postgresql_types import find_type_steps
from opportune.db.migrations.recording import record
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.db.migrations.runner import run_migrations
from opportune.db.migrations.search_index_steps import CreateSearchIndexOp, DropSearchIndexOp, order_search_indexes
from opportune.db.migrations.type_conversions import add_conversions
from opportune.db.models.foreign_keys import break_cycles
from opportune.db.models.indexes import indexed_columns, tables_with_search_index
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url

Operations = list[ops.MigrateOperation]

STEP_NAME_END = "_search_index("
"""Text in the files of migrations with such a step. Only these are run to record their steps."""


class Comparison(NamedTuple):
    """Result of Alembic's comparison of the models with the database."""

    context: MigrationContext
    upgrade: Operations
    """The operations that change the database to match the models."""
    downgrade: Operations
    """The operations that revert them."""


class Differences(NamedTuple):
    """Differences between the models of a feature and the database."""

    renames: Sequence[questions.Rename]
    upgrade: Operations
    """The operations after the renames that change the database to match the models."""
    downgrade: Operations
    """The operations that revert them."""
    referencing: set[str]
    """As in `NewMigration`, also tables without a model."""


@contextmanager
def comparison_database(settings: Settings, graph: MigrationGraph) -> Iterator[Connection]:
    """Connect to the database that models are compared with.

    For SQLite it is a new one in memory with all migrations, so the state of the site's database does not matter.
    PostgreSQL types can only be compared on PostgreSQL, so there it is the configured database.
    """
    if direct_url(settings).kind != "postgresql":
        with in_memory_connection() as connection:
            run_migrations(connection, graph, derive=False)
            yield connection
        return
    with connect(settings) as connection:
        yield connection


def find_missing_migrations(
    connection: Connection, graph: MigrationGraph, features: Collection[str]
) -> list[Migration]:
    """Return unapplied migrations of the features. Apply them before models are compared with this database."""
    rows = read_revisions(connection)
    refuse_newer(graph, rows)
    return [migration for migration in graph.pending(rows) if migration.feature in features]


def is_up_to_date(settings: Settings, graph: MigrationGraph) -> bool:
    """Return whether the site's database has all migrations, and its tables match the models.

    This is faster than a comparison database for SQLite, in which all migrations run.
    """
    with connect(settings) as connection:
        if find_missing_migrations(connection, graph, graph.features):
            return False
        return not ModelComparison(connection, graph, Model.metadata).find_changed_features(graph.features)


class ModelComparison:
    """Comparison of models with the tables that the migrations have created in a database."""

    def __init__(self, connection: Connection, graph: MigrationGraph, metadata: MetaData) -> None:
        self.connection = connection
        self.graph = graph
        self.metadata = metadata
        self.owners = read_owners(graph, metadata, connection.dialect.name)

    def find_changed_features(self, features: Collection[str]) -> list[str]:
        """Return the features whose models have changed. One comparison for all is faster than one per feature.

        Features that drop tables are last, after those that drop references to these tables.
        """
        owners = self.owners
        upgrade = self._compare(features).upgrade
        tables = {str(getattr(operation, "table_name", "")) for operation in upgrade}
        changed = {owners.feature_of(table) for table in tables}
        dropping = {owners.feature_of(operation.table_name) for operation in upgrade if _is_table_drop(operation)}
        # A table that is dropped while another is created may be renamed, which references to it follow.
        dropping -= {owners.feature_of(step.table_name) for step in upgrade if isinstance(step, ops.CreateTableOp)}
        return sorted((name for name in features if name in changed), key=lambda name: name in dropping)

    def draft(self, feature: str, title: str | None = None, choices: questions.Choices | None = None) -> NewMigration:
        """Return the migration for changed models of a feature. Its `changes` are empty if nothing has changed."""
        choices = choices or questions.Choices()
        differences = self._find_differences(feature, choices)
        types = find_type_steps(self.connection, differences.upgrade)
        mutual_keys = _move_mutual_keys(differences.upgrade)
        upgrade = [*differences.upgrade, *mutual_keys]
        downgrade = [*(addition.reverse() for addition in mutual_keys), *differences.downgrade]
        described = [*flatten(upgrade)]
        members = EnumMembers(feature, choices)
        for alteration in _changed_tables(upgrade):
            alteration.ops = [*add_conversions(members.upgrade(alteration.ops))]
            if (table := self.metadata.tables.get(alteration.table_name)) is not None:
                alteration.ops = Backfill(table, feature, choices).apply(alteration.ops)
        for alteration in _changed_tables(downgrade):
            alteration.ops = [*add_conversions(members.downgrade(alteration.ops))]
        upgrade_steps = [*separate_code(upgrade)]
        first_steps = [*types.creations, *(rename.operation for rename in differences.renames)]
        last_steps = [*(rename.reverse.operation for rename in reversed(differences.renames)), *types.drops]

        code_steps = [step for step in upgrade_steps if isinstance(step, CodeOp)]
        changes = describe([*first_steps, *described, *code_steps], feature)
        return NewMigration(
            feature,
            choose_name(self.graph, feature, changes, title),
            order_search_indexes([*first_steps, *upgrade_steps]),
            order_search_indexes([*separate_code(downgrade), *last_steps]),
            changes,
            {name for name in differences.referencing if self.owners.feature_of(name)},
            self.owners.models,
        )

    def _find_differences(self, feature: str, choices: questions.Choices) -> Differences:
        """Compare the models with the database, until no rename is left."""
        renames: list[questions.Rename] = []
        referencing: set[str] = set()
        while True:
            comparison = self._compare([feature])
            candidates = [*questions.find_possible_renames(comparison.context, comparison.upgrade, feature)]
            rename = choices.choose_rename(candidates)
            if rename is None:
                break
            referencing |= questions.referencing_tables(self.connection, *rename.old)
            rename.apply(self.connection)  # the next comparison does not see the rename as a difference
            renames.append(rename)
        choices.refuse_drops([*questions.find_dropped_names(comparison.upgrade)], candidates)
        for drop in filter(_is_table_drop, comparison.upgrade):
            referencing |= questions.referencing_tables(self.connection, drop.table_name)
        return Differences(renames, comparison.upgrade, comparison.downgrade, referencing)

    def _compare(self, features: Collection[str]) -> Comparison:
        break_cycles(self.metadata)
        options = comparison_options(self.graph, features, self.owners)
        context = MigrationContext.configure(self.connection, opts=options)
        with ignore_reflection_warnings(), refuse_generated_column_changes():
            script = produce_migrations(context, self.metadata)
        assert script.upgrade_ops is not None
        assert script.downgrade_ops is not None  # Alembic sets both
        search_changes = self._find_search_index_changes(features)
        # A table is dropped after the references to it, and created before them.
        upgrade = [*sorted(script.upgrade_ops.ops, key=_is_table_drop), *search_changes]
        downgrade = [
            *(change.reverse() for change in search_changes),
            *sorted(script.downgrade_ops.ops, key=lambda step: not isinstance(step, ops.CreateTableOp)),
        ]
        refuse_identity_changes(upgrade)
        make_portable([*upgrade, *downgrade])
        return Comparison(context, upgrade, downgrade)

    def _find_search_index_changes(self, features: Collection[str]) -> list[CreateSearchIndexOp | DropSearchIndexOp]:
        """Return the operations that change the search indexes to match the models."""
        existing = self._find_created_indexes(features)
        expected = {
            table.name: tuple(indexed_columns(table))
            for table in tables_with_search_index(self.metadata)
            if self.owners.feature_of(table.name) in features
        }
        drops = [DropSearchIndexOp(*index) for index in sorted(existing.items() - expected.items())]
        new = [CreateSearchIndexOp(*index) for index in sorted(expected.items() - existing.items())]
        return [*drops, *new]

    def _find_created_indexes(self, features: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the columns by table of the indexes that the applied migrations have created."""
        created: dict[str, tuple[str, ...]] = {}
        for migration in self.graph.applied(read_revisions(self.connection)):
            if migration.feature not in features or STEP_NAME_END not in migration.path.read_text(encoding="utf-8"):
                continue
            for step in record(migration):
                if isinstance(step, CreateSearchIndexOp):
                    created[step.table_name] = tuple(step.names)
                elif isinstance(step, DropSearchIndexOp):
                    created.pop(step.table, None)
        return created


def comparison_options(graph: MigrationGraph, features: Collection[str], owners: TableOwners) -> dict[str, Any]:
    """Return Alembic's options for a comparison of the tables of some features with the database."""
    migrated = {name for name in features if graph.migrations_of(name)}

    def include_name(name: str | None, type_: str, _parents: object) -> bool:
        # Tables that existed before are not compared until the first migration of their feature adopts them.
        is_migrated = type_ != "table" or name in owners.created or owners.feature_of(name) in migrated
        return is_owned(name, type_) and is_migrated

    def is_owned(name: str | None, type_: str) -> bool:
        return owners.feature_of(name) in features if type_ == "table" else not is_derived(name)

    def include_object(item: object, name: str | None, type_: str, reflected: bool, _other: object) -> bool:
        if reflected and isinstance(item, ForeignKeyConstraint):  # models reference only tables of models
            return item.referred_table.schema is None and owners.feature_of(item.referred_table.name) is not None
        return is_owned(name, type_)

    return {**OPTIONS, "include_name": include_name, "include_object": include_object}


def _move_mutual_keys(operations: Operations) -> list[ops.ModifyTableOps]:
    """Move foreign keys with `use_alter` out of CREATE TABLE, and return the operations that add them."""
    additions: list[ops.ModifyTableOps] = []
    for operation in operations:
        for key in _remove_mutual_keys(operation):
            addition = ops.CreateForeignKeyOp.from_constraint(key)
            addition.kw.pop("use_alter", None)
            additions.append(ops.ModifyTableOps(str(key.parent.name), [addition]))
    return additions


def _remove_mutual_keys(operation: ops.MigrateOperation) -> list[ForeignKeyConstraint]:
    if not isinstance(operation, ops.CreateTableOp):
        return []
    mutual_keys = [part for part in operation.columns if isinstance(part, ForeignKeyConstraint) and part.use_alter]
    # `is`, because `in` would compare columns with ==, which builds SQL.
    operation.columns = [part for part in operation.columns if not any(part is key for key in mutual_keys)]
    return mutual_keys


def _changed_tables(operations: Operations) -> list[ops.ModifyTableOps]:
    return [operation for operation in operations if isinstance(operation, ops.ModifyTableOps)]


def _is_table_drop(operation: ops.MigrateOperation) -> TypeGuard[ops.DropTableOp]:
    return isinstance(operation, ops.DropTableOp)
