"""Renames of tables and columns that keep their data."""

from collections.abc import Iterator, Sequence
from itertools import product

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Table, inspect

from opportune.db.migrations.connection import set_table_lock_timeout
from opportune.db.migrations.naming import flatten
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.questions import Rename


def find_dropped_names(operations: Sequence[ops.MigrateOperation]) -> list[tuple[str, ...]]:
    """Return dropped tables and columns."""
    names: list[tuple[str, ...]] = []
    for operation in flatten(operations):
        if isinstance(operation, ops.DropTableOp):
            names.append((operation.table_name,))
        elif isinstance(operation, ops.DropColumnOp):
            names.append((operation.table_name, operation.column_name))
    return names


def find_possible_renames(
    context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str
) -> list[Rename]:
    """Return pairs of dropped and added tables or columns that may be renames."""
    return [*_find_table_renames(context, operations, feature), *_find_column_renames(context, operations, feature)]


def _find_table_renames(
    context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str
) -> Iterator[Rename]:
    created = [operation for operation in operations if isinstance(operation, ops.CreateTableOp)]
    dropped = [operation for operation in operations if isinstance(operation, ops.DropTableOp)]
    for new, old in product(created, dropped):
        type_ = "table" if _have_same_columns(context, old.to_table(), new.to_table()) else ""
        yield Rename((old.table_name,), new.table_name, type_, old.table_name.removeprefix(f"{feature}_"))


def _have_same_columns(context: MigrationContext, old: Table, new: Table) -> bool:
    names = set(old.columns.keys())
    return names == set(new.columns.keys()) and all(
        _has_same_type(context, old.columns[name], new.columns[name]) for name in names
    )


def _find_column_renames(
    context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str
) -> Iterator[Rename]:
    for table in (part for part in operations if isinstance(part, ops.ModifyTableOps)):
        added = [part.column for part in table.ops if isinstance(part, ops.AddColumnOp)]
        dropped = [part.to_column() for part in table.ops if isinstance(part, ops.DropColumnOp)]
        short_table = table.table_name.removeprefix(f"{feature}_")
        for new, old in product(added, dropped):
            type_ = str(new.type) if _has_same_type(context, old, new) else ""
            is_likely = bool(type_) or not (old.foreign_keys or new.foreign_keys)
            yield Rename((table.table_name, old.name), new.name, type_, short_table, is_likely)


def _has_same_type(context: MigrationContext, old: Column[object], new: Column[object]) -> bool:
    return not context.impl.compare_type(old, new)


def apply(connection: Connection, rename: Rename) -> None:
    """Rename in the database that models are compared with, until the transaction is rolled back."""
    set_table_lock_timeout(connection)
    operations = Operations(MigrationContext.configure(connection, opts=OPTIONS))
    operations.invoke(make_operation(rename))


def referencing_tables(connection: Connection, table_name: str, *column: str) -> set[str]:
    """Return tables that reference a table or column. Apply their migrations before it is renamed or dropped."""
    keys = inspect(connection).get_multi_foreign_keys()
    return {
        table
        for (_, table), table_keys in keys.items()
        for key in table_keys
        if key["referred_table"] == table_name and {*column}.issubset(key["referred_columns"])
    }


def make_operation(rename: Rename) -> ops.MigrateOperation:
    if len(rename.old) == 1:
        return ops.RenameTableOp(rename.old[0], rename.new)
    return ops.AlterColumnOp(*rename.old, modify_name=rename.new)


def reverse(rename: Rename) -> Rename:
    *path, name = rename.old
    return rename._replace(old=(*path, rename.new), new=name)
