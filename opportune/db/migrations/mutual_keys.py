"""Foreign keys of table cycles: added after all tables are created, dropped before any is dropped."""

from collections.abc import Sequence

from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint

Operations = list[ops.MigrateOperation]


def add_mutual_keys_last(
    upgrade: Sequence[ops.MigrateOperation], downgrade: Sequence[ops.MigrateOperation]
) -> tuple[Operations, Operations]:
    """Move foreign keys with `use_alter` out of CREATE TABLE."""
    adding: Operations = []
    dropping: Operations = []
    for operation in upgrade:
        for key in _take_late_keys(operation):
            table = str(key.parent.name)
            adding.append(ops.ModifyTableOps(table, [_addition(key)]))
            dropping.append(ops.ModifyTableOps(table, [ops.DropConstraintOp.from_constraint(key)]))
    return [*upgrade, *adding], [*dropping, *downgrade]


def _take_late_keys(operation: ops.MigrateOperation) -> list[ForeignKeyConstraint]:
    if not isinstance(operation, ops.CreateTableOp):
        return []
    late = [part for part in operation.columns if isinstance(part, ForeignKeyConstraint) and part.use_alter]
    # `is`, because `in` would compare columns with ==, which builds SQL.
    operation.columns = [part for part in operation.columns if not any(part is key for key in late)]
    return late


def _addition(key: ForeignKeyConstraint) -> ops.MigrateOperation:
    operation = ops.CreateForeignKeyOp.from_constraint(key)
    operation.kw.pop("use_alter", None)
    return operation
