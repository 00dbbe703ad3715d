"""How Alembic is set up, wherever it is: in our commands and in `migrations/env.py`."""

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
    "transactional_ddl": True,  # SQLite's too, since we begin its transactions
}


def keep_transaction(context: MigrationContext) -> None:
    """Let `autocommit_block` do nothing: on SQLite, where it would gain nothing, and in somebody else's transaction."""
    context.autocommit_block = nullcontext  # type: ignore[method-assign, assignment]


class WithinTransaction(Operations):
    """Stands in the place of `op` where all is to hold or nothing: no index is built concurrently."""

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        if isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
            operation.kw.pop("postgresql_concurrently", None)
        return super().invoke(operation)


class CopyingSQLiteImpl(SQLiteImpl):
    """Alembic's SQLite implementation, which `__dialect__` registers in its place.

    A table is copied without CAST, which would read '2026-12-02' as the number 2026 and 'abc' as 0. The affinity of the
    new column is enough: `convert_column` looks at the values first.
    """

    __dialect__ = "sqlite"

    def cast_for_batch_migrate(self, existing: Column[Any], existing_transfer: dict[str, Any], new_type: Any) -> None:
        """Copy the values as they are stored."""
