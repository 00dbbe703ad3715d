"""What migrations lock on PostgreSQL while others want to work: which table, how, and what would spare them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from sqlalchemy import String, Text

from opportune.db.migrations.checks import as_text
from opportune.db.migrations.graph import Migration
from opportune.db.migrations.python_steps import CodeOp
from opportune.db.migrations.recording import record

STABLE_FUNCTIONS = {"now", "current_timestamp", "localtimestamp", "transaction_timestamp", "current_setting"}
"""Those with one value for a whole statement: all rows that exist get it without being written."""
CALL = re.compile(r"(\w+)\s*\(")
QUOTED = re.compile(r"'(?:[^']|'')*'")
NOT_NULL = re.compile(r'"?(\w+)"?\s+IS\s+NOT\s+NULL', re.IGNORECASE)
VALIDATED = re.compile(r'ALTER\s+TABLE\s+"?(\w+)"?\s+VALIDATE\s+CONSTRAINT', re.IGNORECASE)
ANY_COLUMN = "*"
WRITES_ROWS = re.compile(r"\s*(?:UPDATE|DELETE|INSERT)\b", re.IGNORECASE)


@dataclass(frozen=True)
class TableLock:
    """A step that keeps others waiting for as long as it looks at every row of a table."""

    migration: Migration
    table: str
    lock: str
    """PostgreSQL's name of it."""
    reason: str
    safer: str

    def __str__(self) -> str:
        what = "writes" if self.lock.startswith("SHARE") else "reads and writes"
        return f"{self.reason}: {what} of {self.table} wait meanwhile ({self.lock} lock). {self.safer}"


CONCURRENTLY = "Make it concurrently, in a migration of its own."
VALIDATE = "Add it with postgresql_not_valid=True, and VALIDATE CONSTRAINT in a second migration."
CHECK_FIRST = "Let a CHECK (… IS NOT NULL), added so that it is NOT VALID and then validated, come first."
NEW_COLUMN = "Add a new column, fill it in pieces, and let it take the place of the old one in a later deploy."
FILL_LATER = "Split it: add the column, fill it in pieces from a command, and forbid empty ones in a later migration."
UNIQUE_INDEX = "Make a unique index concurrently, then the constraint USING INDEX."


def table_locks(migrations: Sequence[Migration]) -> list[TableLock]:
    """Those of migrations that are to be applied in this order. Tables that they make themselves are empty."""
    new: set[str] = set()
    checked: set[tuple[str, str]] = set()
    found: list[TableLock] = []
    for migration in migrations:
        held: list[str] = []
        for operation in record(migration, kind="postgresql"):
            table = str(getattr(operation, "table_name", "") or getattr(operation, "source_table", ""))
            if isinstance(operation, ops.CreateTableOp):
                new.add(table)
            if table in new:
                continue
            checked |= set(_checked(operation, table))
            found += [TableLock(migration, *each) for each in _locks_of(operation, table, checked)]
            if _touches_rows(operation) and held:
                found.append(TableLock(migration, held[0], "ACCESS EXCLUSIVE", "Rows are read and written", FILL_LATER))
                held.clear()
            if isinstance(operation, (ops.AddColumnOp, ops.AlterColumnOp)):
                held.append(table)
    return found


def _locks_of(
    operation: ops.MigrateOperation, table: str, checked: set[tuple[str, str]]
) -> Iterator[tuple[str, str, str, str]]:
    options: dict[str, Any] = getattr(operation, "kw", {})
    match operation:
        case ops.CreateIndexOp(index_name=name) if not options.get("postgresql_concurrently"):
            yield table, "SHARE", f"Index {name} is built", CONCURRENTLY
        case ops.AddColumnOp(column=column) if _is_written(column):
            yield table, "ACCESS EXCLUSIVE", f"A {column.name} of its own is written into each row", NEW_COLUMN
        case ops.AlterColumnOp(column_name=column):
            if operation.modify_type is not None and not widens(operation.existing_type, operation.modify_type):
                yield table, "ACCESS EXCLUSIVE", f"{column} gets another type, so each row is written anew", NEW_COLUMN
            if operation.modify_nullable is False and not checked & {(table, column), (table, ANY_COLUMN)}:
                yield table, "ACCESS EXCLUSIVE", f"Each row is looked at for an empty {column}", CHECK_FIRST
        case ops.CreateForeignKeyOp(constraint_name=name) if not options.get("postgresql_not_valid"):
            tables = dict.fromkeys([table, operation.referent_table])
            yield " and ".join(tables), "SHARE ROW EXCLUSIVE", f"Each row is held against {name}", VALIDATE
        case ops.CreateCheckConstraintOp(constraint_name=name) if not options.get("postgresql_not_valid"):
            yield table, "ACCESS EXCLUSIVE", f"Each row is held against {name}", VALIDATE
        case ops.CreateUniqueConstraintOp(constraint_name=name) | ops.CreatePrimaryKeyOp(constraint_name=name):
            if not options.get("postgresql_using_index"):
                yield table, "ACCESS EXCLUSIVE", f"The index of {name} is built", UNIQUE_INDEX


def _is_written(column: Any) -> bool:
    """Whether PostgreSQL writes the whole table anew for it."""
    if column.computed is not None or column.identity is not None:
        return True
    default = getattr(column.server_default, "arg", "")
    calls = [] if isinstance(default, str) else CALL.findall(QUOTED.sub("", str(default)))
    return any(name.lower() not in STABLE_FUNCTIONS for name in calls)


def widens(old: Any, new: Any) -> bool:
    """Whether another type takes all that the old one did, and rows stay as they are."""
    if not (isinstance(old, String) and isinstance(new, String)):
        return False
    return isinstance(new, Text) or new.length is None or (old.length or new.length + 1) <= new.length


def _checked(operation: ops.MigrateOperation, table: str) -> Iterator[tuple[str, str]]:
    """Tables with columns, or all of them, that a constraint has been looking after: then nobody looks again."""
    if isinstance(operation, ops.CreateCheckConstraintOp):
        yield from ((table, column) for column in NOT_NULL.findall(as_text(operation.condition)))
    elif isinstance(operation, ops.ExecuteSQLOp):
        yield from ((name, ANY_COLUMN) for name in VALIDATED.findall(str(operation.sqltext)))


def _touches_rows(operation: ops.MigrateOperation) -> bool:
    if isinstance(operation, ops.ExecuteSQLOp):
        return bool(WRITES_ROWS.match(str(operation.sqltext)))
    return isinstance(operation, CodeOp)
