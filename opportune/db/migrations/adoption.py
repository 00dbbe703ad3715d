"""Adoption of existing tables: compares them with the tables that the first migration would create."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, Table, inspect

from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.naming import describe, flatten
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.recording import record
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.errors import OperatorError


@dataclass(frozen=True)
class Difference:
    """Difference between an existing table and its migration."""

    text: str
    is_harmful: bool
    """Whether the model cannot work with the existing table."""


@ignore_reflection_warnings()
def compare_existing_tables(connection: Connection, migration: Migration) -> list[Difference] | None:
    """Return how existing tables differ from those that a feature's first migration creates. None if none exists.

    Raises:
        OperatorError: Only some of the tables exist.
    """
    operations = record(migration, dialect_name=connection.dialect.name)
    tables = {step.table_name: step.to_table() for step in operations if isinstance(step, ops.CreateTableOp)}
    inspector = inspect(connection)
    existing = set(inspector.get_table_names())
    missing = [name for name in tables if name not in existing]
    if len(missing) == len(tables):
        return None
    if missing:
        raise OperatorError(
            f"{migration} creates {', '.join(tables)}, but {', '.join(missing)} does not exist. "
            "Partly existing tables cannot be adopted."
        )
    differences = [*_describe(migration.feature, _compare(connection, tables, operations))]
    expected = {step.index_name: step.table_name for step in operations if isinstance(step, ops.CreateIndexOp)}
    found = {index["name"] for table in tables for index in inspector.get_indexes(table)}
    missing_indexes = {name: table for name, table in expected.items() if name not in found and not is_derived(name)}
    return differences + [
        Difference(f"index {name} on {table} is missing", is_harmful=False) for name, table in missing_indexes.items()
    ]


def _compare(
    connection: Connection, tables: Mapping[str, Table], operations: Sequence[ops.MigrateOperation]
) -> list[ops.MigrateOperation]:
    """Return the operations that would change the existing tables, except for their indexes."""
    metadata = MetaData()
    # Each table has its own metadata, with an empty copy of each table that it references.
    copies = [copy for table in tables.values() for copy in table.metadata.tables.values()]
    for table in (*tables.values(), *copies):
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
    added_keys = {
        (step.source_table, *step.local_cols) for step in operations if isinstance(step, ops.CreateForeignKeyOp)
    }

    def include_name(name: str | None, type_: str, _parents: object) -> bool:
        return name in tables if type_ == "table" else type_ != "index"

    def include_object(item: object, name: str | None, type_: str, reflected: bool, _other: object) -> bool:
        if reflected and isinstance(item, ForeignKeyConstraint):  # models reference only tables of models
            columns = (item.parent.name, *item.column_keys)
            return item.referred_table.key in metadata.tables and columns not in added_keys
        return include_name(name, type_, None)

    options = {**OPTIONS, "include_name": include_name, "include_object": include_object}
    script = produce_migrations(MigrationContext.configure(connection, opts=options), metadata)
    return flatten(script.upgrade_ops.ops if script.upgrade_ops else [])


def _describe(feature: str, operations: Sequence[ops.MigrateOperation]) -> Iterator[Difference]:
    remaining_operations: list[ops.MigrateOperation] = []
    for operation in operations:
        if isinstance(operation, (ops.AddColumnOp, ops.AlterColumnOp, ops.DropColumnOp)):
            yield from _describe_column(operation)
        else:
            remaining_operations.append(operation)
    for change in describe(remaining_operations, feature):
        _verb, _, subject = change.description.partition(" ")
        difference = {"+": "is missing", "-": "is not in the model", "~": "is different"}[change.sign]
        yield Difference(f"{subject} {difference}", is_harmful=False)


def _describe_column(operation: ops.MigrateOperation) -> Iterator[Difference]:
    match operation:
        case ops.AddColumnOp(table_name=table, column=column):
            yield Difference(f"{table}.{column.name} ({column.type}) is missing", is_harmful=True)
        case ops.DropColumnOp(table_name=table, column_name=name):
            is_required = not operation.to_column().nullable and operation.to_column().server_default is None
            yield Difference(f"{table}.{name} is not in the model", is_harmful=is_required)
        case ops.AlterColumnOp(table_name=table, column_name=name):
            column_name = f"{table}.{name}"
            if operation.modify_type is not None:
                yield Difference(f"{column_name} is {operation.existing_type}, not {operation.modify_type}", True)
            if operation.modify_nullable is not None:
                requirement = "must allow NULL" if operation.modify_nullable else "must not allow NULL"
                yield Difference(f"{column_name} {requirement}", True)
            if operation.modify_server_default is not False:
                yield Difference(f"{column_name} has a different server default", is_harmful=False)
