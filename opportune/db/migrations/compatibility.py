"""What migrations do to the version before them, which goes on serving while the new one starts."""

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

LATER = "Deploy code that does without it first, and take it away in the next deploy."
EXPAND = "Add the new one, write both, fill it and read it; drop the old one in a later deploy."
FILL_FIRST = "Let it be empty, or give it a server_default; forbid empty ones in the deploy after code that writes it."
WRITE_FIRST = "Deploy code that always writes it first, and forbid empty ones in the next deploy."
OBEY_FIRST = "Deploy code that keeps to it first, and add it in the next deploy."
MEMBERS = "Add a member in one deploy and store it from the next; take one away when nothing stores it any more."


@dataclass(frozen=True)
class Incompatibility:
    """A step under which the version before it does not go on working."""

    migration: Migration
    table: str
    reason: str
    safer: str

    def __str__(self) -> str:
        return f"The old version may fail: {self.reason}. {self.safer}"


def incompatibilities(migrations: Sequence[Migration], kind: str) -> list[Incompatibility]:
    """Those of migrations that are to be applied in this order. Tables that they make themselves the old one lacks.

    A migration that says `safety_assured = "why"` is taken at its word.
    """
    new: set[str] = set()
    empty: set[str] = set()
    found: list[Incompatibility] = []
    for migration in migrations:
        operations = record(migration, kind=kind)
        empty |= {f"{each.table_name}.{each.column.name}" for each in operations if _is_empty_column(each)}
        new |= {each.table_name for each in operations if isinstance(each, ops.CreateTableOp)}
        if migration.safety_assured:
            continue
        replaced = {str(each.constraint_name) for each in operations if isinstance(each, ops.DropConstraintOp)}
        for operation in operations:
            table = table_of(operation)
            if table not in new and not _is_of_empty_columns(operation, empty):
                faults = _faults_of(operation, table, replaced)
                found += [Incompatibility(migration, table, reason, safer) for reason, safer in faults]
    return list(dict.fromkeys(found))


def _is_empty_column(operation: ops.MigrateOperation) -> TypeGuard[ops.AddColumnOp]:
    """Whether rows of the old version, which does not know the column, have nothing in it."""
    if not isinstance(operation, ops.AddColumnOp):
        return False
    column = operation.column
    return bool(column.nullable) and not (column.server_default or column.computed or column.identity)


def _is_of_empty_columns(operation: ops.MigrateOperation, empty: Set[str]) -> bool:
    """Whether it asks something of such a column alone or with others: where one is NULL, it forbids nothing."""
    match operation:
        case ops.CreateForeignKeyOp(local_cols=columns):
            pass
        case ops.CreateUniqueConstraintOp(columns=columns) | ops.CreateIndexOp(columns=columns):
            if operation.kw.get("postgresql_nulls_not_distinct"):
                return False
        case _:
            return False
    return any(f"{table_of(operation)}.{column}" in empty for column in columns)


def _faults_of(operation: ops.MigrateOperation, table: str, replaced: set[str]) -> Iterator[tuple[str, str]]:
    match operation:
        case ops.DropTableOp():
            yield f"it reads and writes the table {table}, which goes", LATER
        case ops.RenameTableOp(new_table_name=name):
            yield f"it reads and writes the table {table}, which is called {name} then", EXPAND
        case ops.DropColumnOp(column_name=column):
            yield f"it reads and writes {table}.{column}, which goes", LATER
        case ops.AddColumnOp(column=column):
            if not (column.nullable or column.server_default or column.computed or column.identity):
                yield f"it adds rows to {table} without {column.name}, which may not be empty", FILL_FIRST
        case ops.AlterColumnOp():
            yield from _faults_of_change(operation, f"{table}.{operation.column_name}")
        case ops.CreateCheckConstraintOp(constraint_name=name) if str(name) in replaced:
            yield f"{name} of {table} allows other values, which it writes or cannot read", MEMBERS
        case (
            ops.CreateCheckConstraintOp(constraint_name=name)
            | ops.CreateUniqueConstraintOp(constraint_name=name)
            | ops.CreateForeignKeyOp(constraint_name=name)
            | ops.CreatePrimaryKeyOp(constraint_name=name)
            | ops.CreateIndexOp(index_name=name, unique=True)
        ):
            yield f"it may write to {table} what {name} forbids", OBEY_FIRST
        case ops.ExecuteSQLOp(sqltext=sql) if found := BREAKING_SQL.search(str(sql)):
            yield f"it meets what SQL of the migration's own does ({' '.join(found[1].split()).upper()})", LATER


def _faults_of_change(operation: ops.AlterColumnOp, name: str) -> Iterator[tuple[str, str]]:
    if operation.modify_name is not None:
        yield f"it reads and writes {name}, which is called {operation.modify_name} then", EXPAND
    if operation.modify_type is not None and not widens(operation.existing_type, operation.modify_type):
        yield f"it reads and writes {name} as another type", EXPAND
    if operation.modify_nullable is False:
        yield f"it may leave {name} empty", WRITE_FIRST
    elif operation.modify_server_default is None and not (operation.modify_nullable or operation.existing_nullable):
        # As makemigrations does with a default of Python's: the rows that are there get it, and nobody else.
        yield f"it adds rows without {name}, which may not be empty", FILL_FIRST
