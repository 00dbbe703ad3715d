"""Recording of the operations of a migration without a database, for plans, comparisons and warnings."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal

from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file
from sqlalchemy import TextClause
from sqlalchemy.dialects import postgresql, sqlite

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.naming import Change, describe
from opportune.db.migrations.options import OPTIONS

Direction = Literal["upgrade", "downgrade"]


def record(
    migration: Migration, direction: Direction = "upgrade", dialect_name: str = "sqlite"
) -> list[ops.MigrateOperation]:
    """Return the operations of a migration for a dialect. Queries in the migration return no rows."""
    return [step for step in _run_recorded(migration, direction, dialect_name) if not isinstance(step, QueryOp)]


def record_with_queries(migration: Migration, dialect_name: str) -> list[ops.MigrateOperation]:
    """Return the operations of a migration, and the SQL texts that it executes on the connection.

    Unlike `record`, the result does not show that a step reads rows or depends on the database.
    """
    return [step for step in _run_recorded(migration, "upgrade", dialect_name) if not isinstance(step, CodeOp)]


def _run_recorded(migration: Migration, direction: Direction, dialect_name: str) -> list[ops.MigrateOperation]:
    """Return all steps of a migration: operations, queries, and code that depends on the database."""
    dialect = postgresql.dialect() if dialect_name == "postgresql" else sqlite.dialect()  # type: ignore[no-untyped-call]
    options = {**OPTIONS, "as_sql": True, "output_buffer": io.StringIO()}
    recorder = Recorder(MigrationContext.configure(dialect=dialect, opts=options))
    module: Any = load_python_file(migration.path.parent, migration.path.name)
    module.op = recorder
    try:
        getattr(module, direction)()
    except Exception:  # noqa: BLE001 - code of the project that may need a database
        recorder.steps.append(CodeOp("The following steps depend on the database", ""))
    return recorder.steps


def describe_planned_changes(migration: Migration, direction: Direction, dialect_name: str) -> list[Change]:
    """Return descriptions of the operations, without indexes of created and dropped tables."""
    operations = record(migration, direction, dialect_name)
    tables = {step.table_name for step in operations if isinstance(step, (ops.CreateTableOp, ops.DropTableOp))}
    return describe([step for step in operations if not _is_implied(step, tables)], migration.feature)


def _is_implied(operation: ops.MigrateOperation, tables: Collection[str]) -> bool:
    """Return whether it is an index of a created or dropped table, or removes the index of a failed attempt."""
    if not isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
        return False
    return operation.table_name in tables or bool(isinstance(operation, ops.DropIndexOp) and operation.if_exists)


class QueryOp(ops.ExecuteSQLOp):
    """An SQL text that a migration executes on its connection."""


class Recorder(Operations):
    """Replacement for `op` that records operations instead of running them."""

    def __init__(self, context: MigrationContext) -> None:
        super().__init__(context)
        self.steps: list[ops.MigrateOperation] = []

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        self.steps.append(operation)
        return operation.to_table(self.migration_context) if isinstance(operation, ops.CreateTableOp) else None

    @contextmanager
    def batch_alter_table(self, table_name: str, *arguments: Any, **options: Any) -> Iterator["RecordingBatch"]:
        yield RecordingBatch(self, SimpleNamespace(table_name=table_name, schema=options.get("schema")))

    def get_bind(self) -> Any:
        self.steps.append(CodeOp("Run code on existing rows", ""))
        return RecordingConnection(self)


class RecordingBatch(BatchOperations):
    """Replacement for `batch_op`."""

    def __init__(self, recorder: Recorder, table: Any) -> None:
        super().__init__(recorder.migration_context, table)
        self._recorder = recorder

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        return self._recorder.invoke(operation)


class NoRows:
    """Replacement for results, without rows."""

    def __getattr__(self, _name: str) -> "NoRows":
        return self

    def __call__(self, *_arguments: object, **_options: object) -> "NoRows":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return False


class RecordingConnection(NoRows):
    """Replacement for a connection."""

    def __init__(self, recorder: Recorder) -> None:
        self.dialect = recorder.migration_context.dialect
        self._recorder = recorder

    def execute(self, statement: Any, *_arguments: object, **_options: object) -> NoRows:
        if isinstance(statement, (str, TextClause)):
            self._recorder.steps.append(QueryOp(statement))
        return NoRows()

    exec_driver_sql = execute
