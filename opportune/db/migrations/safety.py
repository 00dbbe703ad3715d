"""Steps of migrations that are risky during a deploy, with safer alternatives.

Some break the previous version of the code, which still runs. Others lock a table of PostgreSQL while they scan it.
"""

import re
from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy import String, Text

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.create_statements import sql_of
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.naming import table_of
from opportune.db.migrations.recording import record

BREAKING_SQL = re.compile(
    r"\b(DROP\s+(?:TABLE|COLUMN|VIEW)|RENAME\s+(?:TO|COLUMN)|SET\s+NOT\s+NULL|ADD\s+(?:CONSTRAINT|CHECK|UNIQUE))\b",
    re.IGNORECASE,
)

STABLE_FUNCTIONS = {"now", "current_timestamp", "localtimestamp", "transaction_timestamp", "current_setting"}
"""Functions with one value per statement: as a default they do not rewrite existing rows."""
CALL = re.compile(r"(\w+)\s*\(")
QUOTED = re.compile(r"'(?:[^']|'')*'")
NOT_NULL = re.compile(r'"?(\w+)"?\s+IS\s+NOT\s+NULL', re.IGNORECASE)
VALIDATED = re.compile(r'ALTER\s+TABLE\s+"?(\w+)"?\s+VALIDATE\s+CONSTRAINT', re.IGNORECASE)
ANY_COLUMN = "*"
WRITES_ROWS = re.compile(r"\s*(?:UPDATE|DELETE|INSERT)\b", re.IGNORECASE)

# Advice for the owner, one per cause.
DROP_LATER = "First deploy code that does not use it, and drop it in the next deploy."
WRITE_BOTH = "Add the new one, write to both, fill it and read from it. Drop the old one in a later deploy."
ALLOW_NULL_FIRST = "Make it nullable or add a server_default. Make it NOT NULL in the deploy after code that writes it."
WRITE_VALUES_FIRST = "First deploy code that always writes it, and make it NOT NULL in the next deploy."
SATISFY_FIRST = "First deploy code that satisfies it, and add it in the next deploy."
CHANGE_MEMBERS_LATER = "Add a member in one deploy and use it from the next. Remove a member when nothing stores it."
CONCURRENTLY = "Create it concurrently, in a separate migration: makemigrations --concurrently."
VALIDATE = "Add it with postgresql_not_valid=True, and VALIDATE CONSTRAINT in a second migration."
CHECK_FIRST = "First add a CHECK (… IS NOT NULL) as NOT VALID, and validate it."
REPLACE_COLUMN = "Add a new column, fill it with in_batches in a second migration, and drop the old one later."
FILL_LATER = "Split it: add the column, fill it with in_batches in a second one, and make it NOT NULL in a third."
UNIQUE_INDEX = "Create a unique index concurrently, then the constraint USING INDEX."


class Risk(NamedTuple):
    """Step of a migration that breaks the previous version of the code, or blocks other transactions."""

    migration: Migration
    message: str
    """Sentences with the reason and with advice."""

    def __str__(self) -> str:
        return self.message


class Step(NamedTuple):
    """Step of a migration on a table that it does not create."""

    migration: Migration
    operation: ops.MigrateOperation
    table: str


class TableLock(NamedTuple):
    """Lock of a migration on a table of PostgreSQL."""

    table: str
    mode: str
    """PostgreSQL's name of the lock."""
    reason: str
    advice: str

    def __str__(self) -> str:
        blocked = "writes" if self.mode.startswith("SHARE") else "reads and writes"
        return f"{self.reason}. It blocks {blocked} of {self.table} ({self.mode} lock). {self.advice}"


def find_incompatibilities(migrations: Sequence[Migration], dialect_name: str) -> list[Risk]:
    """Return the incompatible steps of migrations that are applied in this order.

    A migration with `safety_assured = "reason"` is skipped.
    """
    nullable_columns: set[str] = set()  # new columns that are NULL in rows of the previous version
    dropped_constraints: set[str] = set()
    risks: list[Risk] = []
    for migration, operation, table in _steps_on_existing_tables(migrations, dialect_name):
        if isinstance(operation, ops.AddColumnOp) and operation.column.nullable and not _is_filled(operation):
            nullable_columns.add(f"{table}.{operation.column.name}")
        if isinstance(operation, ops.DropConstraintOp):
            dropped_constraints.add(str(operation.constraint_name))
        if not migration.safety_assured and not _constrains_new_column(operation, nullable_columns):
            problems = _find_problems(operation, table, dropped_constraints)
            risks += [Risk(migration, f"The old version may fail: {problem}") for problem in problems]
    return list(dict.fromkeys(risks))


def _steps_on_existing_tables(migrations: Sequence[Migration], dialect_name: str) -> Iterator[Step]:
    """Yield the steps of migrations, except steps on tables that the migrations create."""
    created_tables: set[str] = set()
    for migration in migrations:
        for operation in record(migration, dialect_name=dialect_name):
            table = table_of(operation)
            if isinstance(operation, ops.CreateTableOp):
                created_tables.add(table)
            if table not in created_tables:
                yield Step(migration, operation, table)


def _is_filled(operation: ops.AddColumnOp) -> bool:
    """Return whether the database computes the value of a column that a row is inserted without."""
    column = operation.column
    return bool(column.server_default or column.computed or column.identity)


def _constrains_new_column(operation: ops.MigrateOperation, nullable_columns: Set[str]) -> bool:
    """Return whether a constraint includes a new nullable column: it is satisfied while the column is NULL."""
    if isinstance(operation, ops.CreateForeignKeyOp):
        columns: Sequence[object] = operation.local_cols
    elif isinstance(operation, ops.CreateUniqueConstraintOp | ops.CreateIndexOp):
        columns = [] if operation.kw.get("postgresql_nulls_not_distinct") else operation.columns
    else:
        return False
    return any(f"{table_of(operation)}.{column}" in nullable_columns for column in columns)


def _find_problems(operation: ops.MigrateOperation, table: str, dropped_constraints: Set[str]) -> Iterator[str]:
    """Yield reasons why the previous version may fail, each with advice."""
    match operation:
        case ops.DropTableOp():
            yield f"it uses the table {table}, which is dropped. {DROP_LATER}"
        case ops.RenameTableOp(new_table_name=name):
            yield f"it uses the table {table}, which is renamed to {name}. {WRITE_BOTH}"
        case ops.DropColumnOp(column_name=column):
            yield f"it uses {table}.{column}, which is dropped. {DROP_LATER}"
        case ops.AddColumnOp(column=column):
            if not (column.nullable or _is_filled(operation)):
                yield f"it inserts rows into {table} without {column.name}, which is NOT NULL. {ALLOW_NULL_FIRST}"
        case ops.AlterColumnOp():
            yield from _find_alter_problems(operation, f"{table}.{operation.column_name}")
        case ops.CreateCheckConstraintOp(constraint_name=name) if str(name) in dropped_constraints:
            yield f"{name} of {table} allows other values, which it may not write or read. {CHANGE_MEMBERS_LATER}"
        case (
            ops.CreateCheckConstraintOp(constraint_name=name)
            | ops.CreateUniqueConstraintOp(constraint_name=name)
            | ops.CreateForeignKeyOp(constraint_name=name)
            | ops.CreatePrimaryKeyOp(constraint_name=name)
            | ops.CreateIndexOp(index_name=name, unique=True)
        ):
            yield f"it may write rows to {table} that {name} forbids. {SATISFY_FIRST}"
        case ops.ExecuteSQLOp(sqltext=sql) if match := BREAKING_SQL.search(str(sql)):
            yield f"the migration runs SQL that may break it ({' '.join(match[1].split()).upper()}). {DROP_LATER}"


def _find_alter_problems(operation: ops.AlterColumnOp, name: str) -> Iterator[str]:
    if operation.modify_name is not None:
        yield f"it uses {name}, which is renamed to {operation.modify_name}. {WRITE_BOTH}"
    if operation.modify_type is not None and not widens(operation.existing_type, operation.modify_type):
        yield f"it uses {name} with another type. {WRITE_BOTH}"
    if operation.modify_nullable is False:
        yield f"it may leave {name} NULL. {WRITE_VALUES_FIRST}"
    elif operation.modify_server_default is None and not (operation.modify_nullable or operation.existing_nullable):
        # Written by makemigrations for a Python default: existing rows get it, rows of the previous version do not.
        yield f"it inserts rows without {name}, which is NOT NULL. {ALLOW_NULL_FIRST}"


def find_table_locks(migrations: Sequence[Migration]) -> list[Risk]:
    """Return the locks of migrations that are applied in this order. Tables that they create are empty."""
    not_null_columns: set[tuple[str, str]] = set()
    locked: dict[Migration, str] = {}  # a table whose column was altered, which locks it until the migration ends
    risks: list[Risk] = []
    for migration, operation, table in _steps_on_existing_tables(migrations, "postgresql"):
        not_null_columns |= set(_columns_checked_for_null(operation, table))
        locks = [*_find_locks(operation, table, not_null_columns)]
        if migration in locked and _writes_rows(operation):
            locks.append(TableLock(locked.pop(migration), "ACCESS EXCLUSIVE", "Rows are read and written", FILL_LATER))
        risks += [Risk(migration, str(lock)) for lock in locks]
        if isinstance(operation, (ops.AddColumnOp, ops.AlterColumnOp)):
            locked.setdefault(migration, table)
    return risks


def _find_locks(
    operation: ops.MigrateOperation, table: str, not_null_columns: set[tuple[str, str]]
) -> Iterator[TableLock]:
    options: dict[str, Any] = getattr(operation, "kw", {})
    match operation:
        case ops.CreateIndexOp(index_name=name) if not options.get("postgresql_concurrently"):
            yield TableLock(table, "SHARE", f"The index {name} is built", CONCURRENTLY)
        case ops.AddColumnOp(column=column) if _rewrites_table(column):
            yield TableLock(table, "ACCESS EXCLUSIVE", f"Each row gets a different {column.name}", REPLACE_COLUMN)
        case ops.AlterColumnOp(column_name=column):
            if operation.modify_type is not None and not widens(operation.existing_type, operation.modify_type):
                reason = f"{column} gets another type, so each row is rewritten"
                yield TableLock(table, "ACCESS EXCLUSIVE", reason, REPLACE_COLUMN)
            if operation.modify_nullable is False and not not_null_columns & {(table, column), (table, ANY_COLUMN)}:
                yield TableLock(table, "ACCESS EXCLUSIVE", f"Each row is checked for NULL in {column}", CHECK_FIRST)
        case ops.CreateForeignKeyOp(constraint_name=name) if not options.get("postgresql_not_valid"):
            tables = " and ".join(dict.fromkeys([table, operation.referent_table]))
            yield TableLock(tables, "SHARE ROW EXCLUSIVE", f"Each row is checked against {name}", VALIDATE)
        case ops.CreateCheckConstraintOp(constraint_name=name) if not options.get("postgresql_not_valid"):
            yield TableLock(table, "ACCESS EXCLUSIVE", f"Each row is checked against {name}", VALIDATE)
        case ops.CreateUniqueConstraintOp(constraint_name=name) | ops.CreatePrimaryKeyOp(constraint_name=name):
            if not options.get("postgresql_using_index"):
                yield TableLock(table, "ACCESS EXCLUSIVE", f"The index of {name} is built", UNIQUE_INDEX)


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
