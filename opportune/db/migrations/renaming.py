"""Tables and columns that have another name now, and keep what they hold."""

from collections.abc import Iterator, Sequence

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Table, inspect

from opportune.db.migrations.connection import set_table_lock_timeout
from opportune.db.migrations.naming import flatten
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.questions import Rename


def dropped_names(operations: Sequence[ops.MigrateOperation]) -> list[tuple[str, ...]]:
    """The tables that go, and the columns of others."""
    found: list[tuple[str, ...]] = []
    for operation in flatten(operations):
        if isinstance(operation, ops.DropTableOp):
            found.append((operation.table_name,))
        elif isinstance(operation, ops.DropColumnOp):
            found.append((operation.table_name, operation.column_name))
    return found


def possible_renames(
    context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str
) -> list[Rename]:
    """What may be a rename among these operations; those of like things have a kind."""
    return [*_tables(context, operations, feature), *_columns(context, operations, feature)]


def _tables(context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str) -> Iterator[Rename]:
    for new in operations:
        for old in operations:
            if isinstance(new, ops.CreateTableOp) and isinstance(old, ops.DropTableOp):
                kind = "table" if _have_the_same_columns(context, old.to_table(), new.to_table()) else ""
                yield Rename((old.table_name,), new.table_name, kind, old.table_name.removeprefix(f"{feature}_"))


def _have_the_same_columns(context: MigrationContext, old: Table, new: Table) -> bool:
    names = set(old.columns.keys())
    return names == set(new.columns.keys()) and all(
        _is_alike(context, old.columns[name], new.columns[name]) for name in names
    )


def _columns(context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str) -> Iterator[Rename]:
    for table in (part for part in operations if isinstance(part, ops.ModifyTableOps)):
        for new in table.ops:
            for old in table.ops:
                if isinstance(new, ops.AddColumnOp) and isinstance(old, ops.DropColumnOp):
                    kind = str(new.column.type) if _is_alike(context, old.to_column(), new.column) else ""
                    short = table.table_name.removeprefix(f"{feature}_")
                    is_reference = bool(old.to_column().foreign_keys or new.column.foreign_keys)
                    place = (table.table_name, old.column_name)
                    yield Rename(place, new.column.name, kind, short, is_likely=bool(kind) or not is_reference)


def _is_alike(context: MigrationContext, old: Column[object], new: Column[object]) -> bool:
    return not context.impl.compare_type(old, new)


def apply_rename(connection: Connection, rename: Rename) -> None:
    """Rename it, until the transaction ends, in the database that the models are compared with."""
    set_table_lock_timeout(connection)
    operations = Operations(MigrationContext.configure(connection, opts=OPTIONS))
    operations.invoke(rename_operation(rename))


def tables_pointing_at(connection: Connection, rename: Rename) -> set[str]:
    """Their migrations so far know the old name, and are applied before the new one is given."""
    keys = inspect(connection).get_multi_foreign_keys()
    return {
        table
        for (_, table), found in keys.items()
        for key in found
        if key["referred_table"] == rename.old[0] and {*rename.old[1:]}.issubset(key["referred_columns"])
    }


def rename_operation(rename: Rename) -> ops.MigrateOperation:
    if len(rename.old) == 1:
        return ops.RenameTableOp(rename.old[0], rename.new)
    return ops.AlterColumnOp(*rename.old, modify_name=rename.new)


def reversed_rename(rename: Rename) -> Rename:
    *place, name = rename.old
    return rename._replace(old=(*place, rename.new), new=name)
