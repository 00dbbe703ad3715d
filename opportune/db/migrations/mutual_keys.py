"""Foreign keys of table cycles. They are added after all tables exist, and dropped before the first table is."""

from collections.abc import Sequence

from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint

Operations = list[ops.MigrateOperation]


def add_mutual_keys_last(
    upgrade: Sequence[ops.MigrateOperation], downgrade: Sequence[ops.MigrateOperation]
) -> tuple[Operations, Operations]:
    """Move foreign keys with `use_alter` out of CREATE TABLE."""
    additions: Operations = []
    drops: Operations = []
    for operation in upgrade:
        for key in _remove_mutual_keys(operation):
            table = str(key.parent.name)
            additions.append(ops.ModifyTableOps(table, [_make_addition(key)]))
            drops.append(ops.ModifyTableOps(table, [ops.DropConstraintOp.from_constraint(key)]))
    return [*upgrade, *additions], [*drops, *downgrade]


def _remove_mutual_keys(operation: ops.MigrateOperation) -> list[ForeignKeyConstraint]:
    if not isinstance(operation, ops.CreateTableOp):
        return []
    mutual_keys = [part for part in operation.columns if isinstance(part, ForeignKeyConstraint) and part.use_alter]
    # `is`, because `in` would compare columns with ==, which builds SQL.
    operation.columns = [part for part in operation.columns if not any(part is key for key in mutual_keys)]
    return mutual_keys


def _make_addition(key: ForeignKeyConstraint) -> ops.MigrateOperation:
    operation = ops.CreateForeignKeyOp.from_constraint(key)
    operation.kw.pop("use_alter", None)
    return operation
