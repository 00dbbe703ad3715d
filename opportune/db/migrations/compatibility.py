"""Migrations that break the previous version of the code, which still runs during a deploy."""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import TypeGuard

from alembic.operations import ops

from opportune.db.migrations.graph import Migration
from opportune.db.migrations.locks import widens
from opportune.db.migrations.naming import table_of
from opportune.db.migrations.recording import record

BREAKING_SQL = re.compile(
    r"\b(DROP\s+(?:TABLE|COLUMN|VIEW)|RENAME\s+(?:TO|COLUMN)|SET\s+NOT\s+NULL|ADD\s+(?:CONSTRAINT|CHECK|UNIQUE))\b",
    re.IGNORECASE,
)

# Advice for the owner, one per cause.
DROP_LATER = "First deploy code that does not use it, and drop it in the next deploy."
WRITE_BOTH = "Add the new one, write to both, fill it and read from it. Drop the old one in a later deploy."
ALLOW_NULL_FIRST = "Make it nullable or add a server_default. Make it NOT NULL in the deploy after code that writes it."
WRITE_VALUES_FIRST = "First deploy code that always writes it, and make it NOT NULL in the next deploy."
SATISFY_FIRST = "First deploy code that satisfies it, and add it in the next deploy."
CHANGE_MEMBERS_LATER = "Add a member in one deploy and use it from the next. Remove a member when nothing stores it."


@dataclass(frozen=True)
class Incompatibility:
    """Step that breaks the previous version of the code."""

    migration: Migration
    table: str
    reason: str
    """Clause about the previous version, such as `it uses books_book.isbn, which is dropped`."""
    advice: str

    def __str__(self) -> str:
        return f"The old version may fail: {self.reason}. {self.advice}"


def find_incompatibilities(migrations: Sequence[Migration], dialect_name: str) -> list[Incompatibility]:
    """Return the incompatible steps of migrations that are applied in this order.

    Steps on tables that the migrations create are harmless, because the previous version does not use them. A migration
    with `safety_assured = "reason"` is skipped.
    """
    created_tables: set[str] = set()
    nullable: set[str] = set()
    incompatible: list[Incompatibility] = []
    for migration in migrations:
        operations = record(migration, dialect_name=dialect_name)
        nullable |= {f"{step.table_name}.{step.column.name}" for step in operations if _adds_nullable_column(step)}
        created_tables |= {step.table_name for step in operations if isinstance(step, ops.CreateTableOp)}
        if migration.safety_assured:
            continue
        replaced = {str(step.constraint_name) for step in operations if isinstance(step, ops.DropConstraintOp)}
        for operation in operations:
            table = table_of(operation)
            if table not in created_tables and not _constrains_new_column(operation, nullable):
                problems = _find_problems(operation, table, replaced)
                incompatible += [Incompatibility(migration, table, reason, advice) for reason, advice in problems]
    return list(dict.fromkeys(incompatible))


def _adds_nullable_column(operation: ops.MigrateOperation) -> TypeGuard[ops.AddColumnOp]:
    """Return whether the operation adds a column that is NULL in rows of the previous version."""
    if not isinstance(operation, ops.AddColumnOp):
        return False
    column = operation.column
    return bool(column.nullable) and not (column.server_default or column.computed or column.identity)


def _constrains_new_column(operation: ops.MigrateOperation, nullable: Set[str]) -> bool:
    """Return whether a constraint includes a new nullable column: it is satisfied while the column is NULL."""
    match operation:
        case ops.CreateForeignKeyOp(local_cols=columns):
            pass
        case ops.CreateUniqueConstraintOp(columns=columns) | ops.CreateIndexOp(columns=columns):
            if operation.kw.get("postgresql_nulls_not_distinct"):
                return False
        case _:
            return False
    return any(f"{table_of(operation)}.{column}" in nullable for column in columns)


def _find_problems(operation: ops.MigrateOperation, table: str, replaced: set[str]) -> Iterator[tuple[str, str]]:
    match operation:
        case ops.DropTableOp():
            yield f"it uses the table {table}, which is dropped", DROP_LATER
        case ops.RenameTableOp(new_table_name=name):
            yield f"it uses the table {table}, which is renamed to {name}", WRITE_BOTH
        case ops.DropColumnOp(column_name=column):
            yield f"it uses {table}.{column}, which is dropped", DROP_LATER
        case ops.AddColumnOp(column=column):
            if not (column.nullable or column.server_default or column.computed or column.identity):
                yield f"it inserts rows into {table} without {column.name}, which is NOT NULL", ALLOW_NULL_FIRST
        case ops.AlterColumnOp():
            yield from _find_alter_problems(operation, f"{table}.{operation.column_name}")
        case ops.CreateCheckConstraintOp(constraint_name=name) if str(name) in replaced:
            yield f"{name} of {table} allows other values, which it may not write or read", CHANGE_MEMBERS_LATER
        case (
            ops.CreateCheckConstraintOp(constraint_name=name)
            | ops.CreateUniqueConstraintOp(constraint_name=name)
            | ops.CreateForeignKeyOp(constraint_name=name)
            | ops.CreatePrimaryKeyOp(constraint_name=name)
            | ops.CreateIndexOp(index_name=name, unique=True)
        ):
            yield f"it may write rows to {table} that {name} forbids", SATISFY_FIRST
        case ops.ExecuteSQLOp(sqltext=sql) if match := BREAKING_SQL.search(str(sql)):
            yield f"the migration runs SQL that may break it ({' '.join(match[1].split()).upper()})", DROP_LATER


def _find_alter_problems(operation: ops.AlterColumnOp, name: str) -> Iterator[tuple[str, str]]:
    if operation.modify_name is not None:
        yield f"it uses {name}, which is renamed to {operation.modify_name}", WRITE_BOTH
    if operation.modify_type is not None and not widens(operation.existing_type, operation.modify_type):
        yield f"it uses {name} with another type", WRITE_BOTH
    if operation.modify_nullable is False:
        yield f"it may leave {name} NULL", WRITE_VALUES_FIRST
    elif operation.modify_server_default is None and not (operation.modify_nullable or operation.existing_nullable):
        # Written by makemigrations for a Python default: existing rows get it, rows of the previous version do not.
        yield f"it inserts rows without {name}, which is NOT NULL", ALLOW_NULL_FIRST
