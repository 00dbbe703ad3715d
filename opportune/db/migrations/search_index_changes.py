"""Comparison of the search indexes of models with those that migrations have created.

The database itself is not compared, because PostgreSQL may lack the extension of the indexes.
"""

from collections.abc import Collection, Sequence

from alembic.operations import ops
from sqlalchemy import Connection, Table

from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.recording import record
from opportune.db.migrations.search_index_steps import CreateSearchIndexOp, DropSearchIndexOp
from opportune.db.models.search_index import indexed_columns

STEP_NAME_END = "_search_index("
"""Text in the files of migrations with such a step. Only these are run to record their steps."""


def find_search_index_changes(
    connection: Connection, graph: MigrationGraph, features: Collection[str], tables: Sequence[Table]
) -> tuple[list[ops.MigrateOperation], list[ops.MigrateOperation]]:
    """Return the operations that change the search indexes to match the models, and those that undo them."""
    existing = _find_created_indexes(connection, graph, features)
    expected = {table.name: tuple(indexed_columns(table)) for table in tables if indexed_columns(table)}
    drops = [DropSearchIndexOp(name, columns) for name, columns in existing.items() if expected.get(name) != columns]
    new = [CreateSearchIndexOp(name, columns) for name, columns in expected.items() if existing.get(name) != columns]
    return [*drops, *new], [step.reverse() for step in (*new, *drops)]


def _find_created_indexes(
    connection: Connection, graph: MigrationGraph, features: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return the columns by table of the indexes that the applied migrations have created."""
    created: dict[str, tuple[str, ...]] = {}
    for migration in graph.applied(read_revisions(connection)):
        if migration.feature not in features or STEP_NAME_END not in migration.path.read_text(encoding="utf-8"):
            continue
        for step in record(migration):
            if isinstance(step, CreateSearchIndexOp):
                created[step.table_name] = tuple(step.names)
            elif isinstance(step, DropSearchIndexOp):
                created.pop(step.table, None)
    return created
