"""Alembic options for commands and `migrations/env.py`."""

from contextlib import nullcontext
from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column

from opportune.db.migrations import checks, defaults

OPTIONS: dict[str, Any] = {
    "render_as_batch": True,  # SQLite cannot alter a table in place
    "compare_type": True,
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", checks.BY_NAME, checks.PLUGIN, defaults.PLUGIN],
    "transactional_ddl": True,  # also on SQLite, because its engine begins transactions
}
STEP = "step"
"""Option with the name of the running step. It is missing within a transaction of the caller."""


def keep_transaction(context: MigrationContext) -> None:
    """Disable `autocommit_block`: on SQLite, which does not need it, and inside a caller's transaction."""
    context.autocommit_block = nullcontext  # type: ignore[method-assign, assignment]


class TransactionalOperations(Operations):
    """Replacement for `op` inside a transaction, which does not build indexes concurrently."""

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        if isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
            operation.kw.pop("postgresql_concurrently", None)
        return super().invoke(operation)


class CopyingSQLiteImpl(SQLiteImpl):
    """Replacement for Alembic's SQLite implementation, registered by `__dialect__`.

    Copies tables without CAST, which would convert '2026-12-02' to 2026 and 'abc' to 0. `convert_column` checks the
    values first. When they are copied, SQLite converts them by the affinity of the new column.
    """

    __dialect__ = "sqlite"

    def cast_for_batch_migrate(self, existing: Column[Any], existing_transfer: dict[str, Any], new_type: Any) -> None:
        """Copy the stored values unchanged, without the CAST that Alembic adds."""
