"""Alembic options for commands and `migrations/env.py`."""

from contextlib import nullcontext
from typing import Any

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext

from opportune.db.migrations import comparisons
from opportune.db.migrations.postgresql_indexes import CompletePostgresqlImpl
from opportune.db.migrations.sqlite import CompleteSQLiteImpl

IMPLEMENTATIONS = (CompletePostgresqlImpl, CompleteSQLiteImpl)
"""Implementations of databases, which register themselves with Alembic when they are defined."""

OPTIONS: dict[str, Any] = {
    "render_as_batch": True,  # SQLite cannot alter a table in place
    "compare_type": True,
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", comparisons.BY_NAME, comparisons.PLUGIN],
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
