"""Adoption of existing tables: compares them with the tables that the first migration would create."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, Index, MetaData, Table, inspect

from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.naming import describe, flatten
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.recording import record
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.errors import OperatorError


class Difference(NamedTuple):
    """Difference between an existing table and its migration."""

    text: str
    is_harmful: bool
    """Whether the model cannot work with the existing table."""


@ignore_reflection_warnings()
def compare_existing_tables(connection: Connection, migration: Migration) -> list[Difference] | None:
    """Return how existing tables differ from those that a feature's first migration creates. None if none exists."""
    operations = record(migration, dialect_name=connection.dialect.name)
    tables = [operation.table_name for operation in operations if isinstance(operation, ops.CreateTableOp)]
    existing = set(inspect(connection).get_table_names())
    missing = [name for name in tables if name not in existing]
    if len(missing) == len(tables):
        return None
    if missing:
        raise OperatorError(
            f"{migration} creates {', '.join(tables)}, but {', '.join(missing)} does not exist. "
            "Partly existing tables cannot be adopted."
        )
    indexes = {operation.index_name for operation in operations if isinstance(operation, ops.CreateIndexOp)}
    changes = [
        operation
        for operation in _compare(connection, _created_tables(operations), tables)
        if not (isinstance(operation, ops.DropIndexOp) and operation.index_name in indexes)  # on an expression
    ]
    return list(_describe(migration.feature, changes))


def _created_tables(operations: Sequence[ops.MigrateOperation]) -> MetaData:
    """Return the tables that operations create, and the tables they reference."""
    metadata = MetaData()
    created = {step.table_name: step.to_table() for step in operations if isinstance(step, ops.CreateTableOp)}
    for table in created.values():
        table.to_metadata(metadata)
    # Each table has its own metadata, with an empty copy of each table that it references.
    referenced = [other for table in created.values() for other in table.metadata.tables.values()]
    for table in referenced:
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
    for step in operations:
        if isinstance(step, ops.CreateForeignKeyOp) and step.source_table in created:
            metadata.tables[step.source_table].append_constraint(_make_mutual_key(step))
        elif isinstance(step, ops.CreateIndexOp) and step.table_name in created:
            _add_index(metadata.tables[step.table_name], step)
    return metadata


def _add_index(table: Table, step: ops.CreateIndexOp) -> None:
    """Add an index to its table, unless it contains an expression."""
    names = [part for part in step.columns if isinstance(part, str) and part in table.columns]
    if len(names) == len(step.columns):
        conditions = {name: value for name, value in step.kw.items() if name.endswith("_where")}
        Index(step.index_name, *(table.columns[name] for name in names), unique=step.unique, **conditions)


def _make_mutual_key(operation: ops.CreateForeignKeyOp) -> ForeignKeyConstraint:
    """Return a foreign key of a cycle, which SQLAlchemy ignores when it sorts tables."""
    columns = [f"{operation.referent_table}.{column}" for column in operation.remote_cols]
    options = {name: value for name, value in operation.kw.items() if not name.endswith("_schema")}
    return ForeignKeyConstraint(
        operation.local_cols, columns, operation.constraint_name, **options | {"use_alter": True}
    )


def _compare(connection: Connection, metadata: MetaData, tables: Sequence[str]) -> list[ops.MigrateOperation]:
    """Return the operations that would change the existing tables to the metadata."""

    def include_name(name: str | None, type_: str, _parents: object) -> bool:
        return name in tables if type_ == "table" else not is_derived(name)

    def include_object(item: object, name: str | None, type_: str, reflected: bool, _other: object) -> bool:
        if reflected and isinstance(item, ForeignKeyConstraint):  # models reference only tables of models
            return item.referred_table.key in metadata.tables
        return include_name(name, type_, None)

    options = {**OPTIONS, "include_name": include_name, "include_object": include_object}
    script = produce_migrations(MigrationContext.configure(connection, opts=options), metadata)
    return [*flatten(script.upgrade_ops.ops if script.upgrade_ops else [])]


def _describe(feature: str, operations: Sequence[ops.MigrateOperation]) -> Iterator[Difference]:
    """Yield the differences that these operations would remove, those of columns first."""
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
                text = f"{column_name} is {operation.existing_type}, not {operation.modify_type}"
                yield Difference(text, is_harmful=True)
            if operation.modify_nullable is not None:
                requirement = "must allow NULL" if operation.modify_nullable else "must not allow NULL"
                yield Difference(f"{column_name} {requirement}", is_harmful=True)
            if operation.modify_server_default is not False:
                yield Difference(f"{column_name} has a different server default", is_harmful=False)
