"""Locks that migrations take on PostgreSQL, with safer alternatives."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from sqlalchemy import String, Text

from opportune.db.migrations.allowed_values import sql_of
from opportune.db.migrations.graph import Migration
from opportune.db.migrations.naming import table_of
from opportune.db.migrations.recording import record
from opportune.db.migrations.rendering import CodeOp

STABLE_FUNCTIONS = {"now", "current_timestamp", "localtimestamp", "transaction_timestamp", "current_setting"}
"""Functions with one value per statement: as a default they do not rewrite existing rows."""
CALL = re.compile(r"(\w+)\s*\(")
QUOTED = re.compile(r"'(?:[^']|'')*'")
NOT_NULL = re.compile(r'"?(\w+)"?\s+IS\s+NOT\s+NULL', re.IGNORECASE)
VALIDATED = re.compile(r'ALTER\s+TABLE\s+"?(\w+)"?\s+VALIDATE\s+CONSTRAINT', re.IGNORECASE)
ANY_COLUMN = "*"
WRITES_ROWS = re.compile(r"\s*(?:UPDATE|DELETE|INSERT)\b", re.IGNORECASE)
# Advice for the owner, one per cause.
CONCURRENTLY = "Create it concurrently, in a separate migration: makemigrations --concurrently."
VALIDATE = "Add it with postgresql_not_valid=True, and VALIDATE CONSTRAINT in a second migration."
CHECK_FIRST = "First add a CHECK (… IS NOT NULL) as NOT VALID, and validate it."
REPLACE_COLUMN = "Add a new column, fill it with in_batches in a second migration, and drop the old one later."
FILL_LATER = "Split it: add the column, fill it with in_batches in a second one, and make it NOT NULL in a third."
UNIQUE_INDEX = "Create a unique index concurrently, then the constraint USING INDEX."


@dataclass(frozen=True)
class TableLock:
    """Step that blocks other transactions while it scans a table."""

    migration: Migration
    table: str
    lock: str
    """PostgreSQL's name of the lock."""
    reason: str
    advice: str

    def __str__(self) -> str:
        blocked = "writes" if self.lock.startswith("SHARE") else "reads and writes"
        return f"{self.reason}. It blocks {blocked} of {self.table} ({self.lock} lock). {self.advice}"


def find_table_locks(migrations: Sequence[Migration]) -> list[TableLock]:
    """Return the locks of migrations that are applied in this order. Tables that they create are empty."""
    created_tables: set[str] = set()
    not_null_columns: set[tuple[str, str]] = set()
    locks: list[TableLock] = []
    for migration in migrations:
        locked_table = ""  # a column of it was altered, which locks it until the migration ends
        for operation in record(migration, dialect_name="postgresql"):
            table = table_of(operation)
            if isinstance(operation, ops.CreateTableOp):
                created_tables.add(table)
            if table in created_tables:
                continue
            not_null_columns |= set(_columns_checked_for_null(operation, table))
            locks += [TableLock(migration, *lock) for lock in _find_locks(operation, table, not_null_columns)]
            if locked_table and _writes_rows(operation):
                reason = "Rows are read and written"
                locks.append(TableLock(migration, locked_table, "ACCESS EXCLUSIVE", reason, FILL_LATER))
                locked_table = ""
            if isinstance(operation, (ops.AddColumnOp, ops.AlterColumnOp)):
                locked_table = locked_table or table
    return locks


def _find_locks(
    operation: ops.MigrateOperation, table: str, not_null_columns: set[tuple[str, str]]
) -> Iterator[tuple[str, str, str, str]]:
    options: dict[str, Any] = getattr(operation, "kw", {})
    match operation:
        case ops.CreateIndexOp(index_name=name) if not options.get("postgresql_concurrently"):
            yield table, "SHARE", f"The index {name} is built", CONCURRENTLY
        case ops.AddColumnOp(column=column) if _rewrites_table(column):
            yield table, "ACCESS EXCLUSIVE", f"Each row gets a different {column.name}", REPLACE_COLUMN
        case ops.AlterColumnOp(column_name=column):
            if operation.modify_type is not None and not widens(operation.existing_type, operation.modify_type):
                yield table, "ACCESS EXCLUSIVE", f"{column} gets another type, so each row is rewritten", REPLACE_COLUMN
            if operation.modify_nullable is False and not not_null_columns & {(table, column), (table, ANY_COLUMN)}:
                yield table, "ACCESS EXCLUSIVE", f"Each row is checked for NULL in {column}", CHECK_FIRST
        case ops.CreateForeignKeyOp(constraint_name=name) if not options.get("postgresql_not_valid"):
            tables = dict.fromkeys([table, operation.referent_table])
            yield " and ".join(tables), "SHARE ROW EXCLUSIVE", f"Each row is checked against {name}", VALIDATE
        case ops.CreateCheckConstraintOp(constraint_name=name) if not options.get("postgresql_not_valid"):
            yield table, "ACCESS EXCLUSIVE", f"Each row is checked against {name}", VALIDATE
        case ops.CreateUniqueConstraintOp(constraint_name=name) | ops.CreatePrimaryKeyOp(constraint_name=name):
            if not options.get("postgresql_using_index"):
                yield table, "ACCESS EXCLUSIVE", f"The index of {name} is built", UNIQUE_INDEX


def _rewrites_table(column: Any) -> bool:
    """Return whether adding the column rewrites the table."""
    if column.computed is not None or column.identity is not None:
        return True
    default = getattr(column.server_default, "arg", "")
    calls = [] if isinstance(default, str) else CALL.findall(QUOTED.sub("", str(default)))
    return any(name.lower() not in STABLE_FUNCTIONS for name in calls)


def widens(old: Any, new: Any) -> bool:
    """Return whether the new type accepts all values of the old one, so that rows need no change."""
    if not (isinstance(old, String) and isinstance(new, String)):
        return False
    return isinstance(new, Text) or new.length is None or (old.length or new.length + 1) <= new.length


def _columns_checked_for_null(operation: ops.MigrateOperation, table: str) -> Iterator[tuple[str, str]]:
    """Yield columns that a validated constraint guarantees to be NOT NULL, so that no scan is needed."""
    if isinstance(operation, ops.CreateCheckConstraintOp):
        yield from ((table, column) for column in NOT_NULL.findall(sql_of(operation.condition)))
    elif isinstance(operation, ops.ExecuteSQLOp):
        yield from ((name, ANY_COLUMN) for name in VALIDATED.findall(str(operation.sqltext)))


def _writes_rows(operation: ops.MigrateOperation) -> bool:
    if isinstance(operation, ops.ExecuteSQLOp):
        return bool(WRITES_ROWS.match(str(operation.sqltext)))
    return isinstance(operation, CodeOp)
