"""How Alembic is set up, wherever it is: in our commands and in `migrations/env.py`."""

from contextlib import nullcontext
from typing import Any

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext

from opportune.db.migrations import checks

OPTIONS: dict[str, Any] = {
    "render_as_batch": True,  # SQLite cannot alter a table in place
    "compare_type": True,
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", checks.BY_NAME, checks.PLUGIN],
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
