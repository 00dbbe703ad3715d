"""Descriptions of operations for the terminal and for file names."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from textwrap import shorten

from alembic.operations import ops

from opportune.db.migrations.rendering import CodeOp
from opportune.db.migrations.search_index_steps import CreateSearchIndexOp, DropSearchIndexOp
from opportune.plurals import pluralize

MAX_NAME_LENGTH = 50
MAX_SQL_LENGTH = 90
"""Maximum characters of a statement in a description."""


@dataclass(frozen=True)
class Change:
    """Description of an operation."""

    sign: str
    """+ adds, - removes, ~ alters."""
    description: str
    fragment: str
    """Part of the title of the migration. Empty for minor changes."""

    def __str__(self) -> str:
        return f"{self.sign} {self.description}"


def flatten(operations: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Return the operations of nested groups as a flat list."""
    flat: list[ops.MigrateOperation] = []
    for operation in operations:
        flat += flatten(operation.ops) if isinstance(operation, ops.OpContainer) else [operation]
    return flat


def describe(operations: Iterable[ops.MigrateOperation], feature: str) -> list[Change]:
    steps = flatten(operations)
    dropped = {step.constraint_name for step in steps if isinstance(step, ops.DropConstraintOp)}
    altered = {step.constraint_name for step in steps if isinstance(step, ops.CreateCheckConstraintOp)} & dropped
    described = [step for step in steps if not _is_part_of_another(step, altered)]
    return [_describe_operation(step, feature, altered) for step in described]


def _is_part_of_another(step: ops.MigrateOperation, altered: Collection[object]) -> bool:
    """Return whether a step needs no description, such as the drop of a check constraint that is added again."""
    if isinstance(step, ops.DropConstraintOp):
        return step.constraint_name in altered
    return isinstance(step, CodeOp) and not step.description


def choose_title(changes: Sequence[Change], *, is_first: bool) -> str:
    """Return the title of a migration from its changes, such as `initial`, `todo_due_on` or `todo_due_on_and_more`."""
    if is_first:
        return "initial"
    fragments = [change.fragment for change in changes if change.fragment] or ["changes"]
    return slug(fragments[0]) + ("_and_more" if len(fragments) > 1 else "")


def slug(text: str) -> str:
    """Return text for a file name in lower case with underscores. May be empty."""
    return "_".join(re.findall(r"[a-z0-9]+", text.lower()))[:MAX_NAME_LENGTH].strip("_")


def table_of(operation: ops.MigrateOperation) -> str:
    """Return the table of an operation, or an empty string. For a foreign key it is the referencing table."""
    return str(getattr(operation, "table_name", "") or getattr(operation, "source_table", ""))


def _describe_operation(operation: ops.MigrateOperation, feature: str, altered: Collection[object]) -> Change:
    table = table_of(operation)
    short_table = table.removeprefix(f"{feature}_")
    match operation:
        case ops.CreateTableOp():
            return Change("+", f"Create table {table}", short_table)
        case ops.DropTableOp():
            return Change("-", f"Drop table {table}", f"drop_{short_table}")
        case ops.RenameTableOp(new_table_name=new):
            return Change("~", f"Rename table {table} to {new}", f"rename_{short_table}")
    return (
        _describe_column_change(operation, table, short_table)
        or _describe_row_change(operation)
        or _describe_search_index_change(operation, table, short_table)
        or _describe_constraint_change(operation, table, short_table, altered)
    )


def _describe_column_change(operation: ops.MigrateOperation, table: str, short_table: str) -> Change | None:
    match operation:
        case ops.AddColumnOp(column=column):
            return Change("+", f"Add column {column.name} to {table}", f"{short_table}_{column.name}")
        case ops.DropColumnOp(column_name=column):
            return Change("-", f"Drop column {column} of {table}", f"drop_{short_table}_{column}")
        case ops.AlterColumnOp(column_name=column, modify_name=str(new)):
            return Change("~", f"Rename column {column} of {table} to {new}", f"rename_{short_table}_{column}")
        case ops.AlterColumnOp(column_name=column):
            return Change("~", f"Alter column {column} of {table}", f"alter_{short_table}_{column}")
    return None


def _describe_row_change(operation: ops.MigrateOperation) -> Change | None:
    match operation:
        case CodeOp(description=description):
            return Change("~", description, "")
        case ops.ExecuteSQLOp(sqltext=sql):
            return Change("~", f"Run SQL: {shorten(' '.join(str(sql).split()), MAX_SQL_LENGTH, placeholder=' …')}", "")
        case ops.BulkInsertOp(table=target, rows=rows):
            return Change("+", f"Add {pluralize(len(rows), 'row')} to {target.name}", "")
    return None


def _describe_search_index_change(operation: ops.MigrateOperation, table: str, short_table: str) -> Change | None:
    match operation:
        case CreateSearchIndexOp(names=names):
            suffix = ", concurrently" if operation.kw.get("postgresql_concurrently") else ""
            description = f"Create search index of {table} ({', '.join(names)}){suffix}"
            return Change("+", description, f"{short_table}_search_index")
        case DropSearchIndexOp():
            return Change("-", f"Drop search index of {table}", f"drop_{short_table}_search_index")
    return None


def _describe_constraint_change(
    operation: ops.MigrateOperation, table: str, short_table: str, altered: Collection[object]
) -> Change:
    match operation:
        case ops.CreateIndexOp(index_name=index):
            suffix = ", concurrently" if operation.kw.get("postgresql_concurrently") else ""
            return Change("+", f"Create index {index} on {table}{suffix}", "")
        case ops.DropIndexOp(index_name=index):
            return Change("-", f"Drop index {index} of {table}", "")
        case ops.CreateCheckConstraintOp(constraint_name=str(name)) if name in altered:
            return Change(
                "~", f"Alter constraint {name} of {table}", f"alter_{short_table}_{name.removeprefix(f'ck_{table}_')}"
            )
        case ops.AddConstraintOp():
            return Change("+", f"Add constraint {operation.to_constraint().name} to {table}", "")
        case ops.DropConstraintOp(constraint_name=constraint):
            return Change("-", f"Drop constraint {constraint} of {table}", "")
    return Change("~", f"{type(operation).__name__.removesuffix('Op')} {table}", "")
