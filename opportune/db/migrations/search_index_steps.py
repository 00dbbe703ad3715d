"""Migration steps `op.create_search_index` and `op.drop_search_index`, for both databases.

PostgreSQL has a GIN index of trigrams (pg_trgm), SQLite an FTS5 table of trigrams.
"""

import logging
from collections.abc import Sequence

from alembic.autogenerate import renderers
from alembic.operations import Operations, ops
from sqlalchemy import text

from opportune.db.migrations.portable_sql import quote_name
from opportune.db.migrations.search_indexes import fill_fts5, fts5_definitions
from opportune.db.models.indexes import fit_name, index_name

logger = logging.getLogger(__name__)

FTS5_OPTIONS = "tokenize='trigram', detail='none'"
"""Without positions, which searches do not need, because they also compare the texts of the rows."""
CREATE_EXTENSION = "DO $do$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm; EXCEPTION WHEN OTHERS THEN NULL; END $do$"
"""An error in such a block keeps the transaction."""
HAS_EXTENSION = "SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'"


@Operations.register_operation("create_search_index")
class CreateSearchIndexOp(ops.CreateIndexOp):
    """Create the search index of a table."""

    def __init__(self, table_name: str, columns: Sequence[str], *, postgresql_concurrently: bool = False) -> None:
        self.names = columns  # `columns` of the base class may also be expressions
        super().__init__(index_name(table_name), table_name, columns, postgresql_concurrently=postgresql_concurrently)

    @property
    def listed_names(self) -> str:
        return ", ".join(self.names)

    @classmethod
    def create_search_index(
        cls, operations: Operations, table_name: str, columns: Sequence[str], *, postgresql_concurrently: bool = False
    ) -> None:
        operations.invoke(cls(table_name, columns, postgresql_concurrently=postgresql_concurrently))

    def reverse(self) -> "DropSearchIndexOp":
        return DropSearchIndexOp(self.table_name, self.names)


@Operations.register_operation("drop_search_index")
class DropSearchIndexOp(ops.DropIndexOp):
    """Drop the search index of a table."""

    def __init__(self, table_name: str, columns: Sequence[str]) -> None:
        self.names = columns
        self.table = table_name  # `table_name` of the base class is optional
        super().__init__(index_name(table_name), table_name)

    @classmethod
    def drop_search_index(cls, operations: Operations, table_name: str, columns: Sequence[str]) -> None:
        operations.invoke(cls(table_name, columns))

    def reverse(self) -> CreateSearchIndexOp:
        return CreateSearchIndexOp(self.table, self.names)


@Operations.implementation_for(CreateSearchIndexOp)
def _create(operations: Operations, step: CreateSearchIndexOp) -> None:
    if operations.get_context().dialect.name == "sqlite":
        statements = fts5_definitions(str(step.index_name), step.table_name, step.names, FTS5_OPTIONS).values()
        for statement in (*statements, fill_fts5(str(step.index_name))):
            operations.execute(statement)
        return
    operations.execute(CREATE_EXTENSION)
    if not operations.get_context().as_sql and not operations.get_bind().scalar(text(HAS_EXTENSION)):
        logger.warning(
            "Searches of %s stay slow: this database role may not create the extension pg_trgm. "
            "Let a superuser run CREATE EXTENSION pg_trgm, then revert and apply this migration.",
            step.table_name,
        )
        return
    columns = ", ".join(f"{quote_name(name)} gin_trgm_ops" for name in step.names)
    concurrently = "CONCURRENTLY " if step.kw.get("postgresql_concurrently") else ""
    target = f"{concurrently}{quote_name(fit_name(str(step.index_name)))} ON {quote_name(step.table_name)}"
    operations.execute(f"CREATE INDEX {target} USING gin ({columns})")


@Operations.implementation_for(DropSearchIndexOp)
def _drop(operations: Operations, step: DropSearchIndexOp) -> None:
    if operations.get_context().dialect.name == "sqlite":
        table, *triggers = fts5_definitions(str(step.index_name), step.table, step.names, FTS5_OPTIONS)
        for name in triggers:
            operations.execute(f"DROP TRIGGER IF EXISTS {name}")
        operations.execute(f"DROP TABLE IF EXISTS {table}")
    else:
        operations.execute(f"DROP INDEX IF EXISTS {quote_name(fit_name(str(step.index_name)))}")


@renderers.dispatch_for(CreateSearchIndexOp)
def _render_create(_context: object, step: CreateSearchIndexOp) -> str:
    option = ", postgresql_concurrently=True" if step.kw.get("postgresql_concurrently") else ""
    return f"op.create_search_index({step.table_name!r}, {[*step.names]!r}{option})"


@renderers.dispatch_for(DropSearchIndexOp)
def _render_drop(_context: object, step: DropSearchIndexOp) -> str:
    return f"op.drop_search_index({step.table!r}, {[*step.names]!r})"


def order_search_indexes(steps: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Drop search indexes before other steps change their columns, and create them afterwards."""
    drops = [step for step in steps if isinstance(step, DropSearchIndexOp)]
    creations = [step for step in steps if isinstance(step, CreateSearchIndexOp)]
    others = [step for step in steps if not isinstance(step, DropSearchIndexOp | CreateSearchIndexOp)]
    return [*drops, *others, *creations]
