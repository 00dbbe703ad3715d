"""Order of steps: a table is dropped after the references to it, and created before them."""

from collections.abc import Iterable
from typing import TypeGuard

from alembic.operations import ops


def is_table_drop(operation: ops.MigrateOperation) -> TypeGuard[ops.DropTableOp]:
    return isinstance(operation, ops.DropTableOp)


def drop_tables_last(operations: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    return sorted(operations, key=is_table_drop)


def create_tables_first(operations: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Return the steps of a downgrade, which creates the tables that the upgrade drops."""
    return sorted(operations, key=lambda operation: not isinstance(operation, ops.CreateTableOp))
