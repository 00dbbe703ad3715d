"""What a migration does, as operations of Alembic's and without a database: for plans, comparisons and warnings."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal

from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file
from sqlalchemy.dialects import postgresql, sqlite

from opportune.db.migrations.graph import Migration
from opportune.db.migrations.naming import Change, describe
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.python_steps import CodeOp

Direction = Literal["upgrade", "downgrade"]

READS_ROWS = "Run code on the rows that are there"
CANNOT_TELL = "Whatever follows depends on the database"


def record(migration: Migration, direction: Direction = "upgrade", kind: str = "sqlite") -> list[ops.MigrateOperation]:
    """The operations of a migration on that kind of database. Code that asks for rows finds none."""
    dialect = postgresql.dialect() if kind == "postgresql" else sqlite.dialect()  # type: ignore[no-untyped-call]
    options = {**OPTIONS, "as_sql": True, "output_buffer": io.StringIO()}
    recorder = Recorder(MigrationContext.configure(dialect=dialect, opts=options))
    module: Any = load_python_file(migration.path.parent, migration.path.name)
    module.op = recorder
    try:
        getattr(module, direction)()
    except Exception:  # noqa: BLE001 - it is somebody's code, which expects a database
        recorder.recorded.append(CodeOp(CANNOT_TELL, ""))
    return recorder.recorded


def planned_changes(migration: Migration, direction: Direction, kind: str) -> list[Change]:
    """The same in words, without the indexes of tables that come or go with it."""
    operations = record(migration, direction, kind)
    whole = {each.table_name for each in operations if isinstance(each, (ops.CreateTableOp, ops.DropTableOp))}
    shown = [each for each in operations if not _goes_without_saying(each, whole)]
    return describe(shown, migration.feature)


def _goes_without_saying(operation: ops.MigrateOperation, whole_tables: Collection[str]) -> bool:
    """An index of a table that comes or goes, or what a try that failed may have left."""
    if not isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
        return False
    return operation.table_name in whole_tables or bool(isinstance(operation, ops.DropIndexOp) and operation.if_exists)


class Recorder(Operations):
    """Stands in the place of `op`: keeps each operation, and does none."""

    def __init__(self, context: MigrationContext) -> None:
        super().__init__(context)
        self.recorded: list[ops.MigrateOperation] = []

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        self.recorded.append(operation)
        return operation.to_table(self.migration_context) if isinstance(operation, ops.CreateTableOp) else None

    @contextmanager
    def batch_alter_table(self, table_name: str, *arguments: Any, **options: Any) -> Iterator["RecordingBatch"]:
        yield RecordingBatch(self, SimpleNamespace(table_name=table_name, schema=options.get("schema")))

    def get_bind(self) -> Any:
        self.recorded.append(CodeOp(READS_ROWS, ""))
        return NoRows()


class RecordingBatch(BatchOperations):
    """Stands in the place of `batch_op`."""

    def __init__(self, recorder: Recorder, table: Any) -> None:
        super().__init__(recorder.migration_context, table)
        self._recorder = recorder

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        return self._recorder.invoke(operation)


class NoRows:
    """A connection, a result and whatever else code may ask: there is nothing in it."""

    def __getattr__(self, _name: str) -> "NoRows":
        return self

    def __call__(self, *_arguments: object, **_options: object) -> "NoRows":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return False
