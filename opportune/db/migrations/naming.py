"""Descriptions of operations for the terminal and for file names."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from textwrap import shorten
from typing import NamedTuple

from alembic.operations import ops

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.search_index_steps import CreateSearchIndexOp, DropSearchIndexOp
from opportune.plurals import pluralize

MAX_NAME_LENGTH = 50
MAX_SQL_LENGTH = 90
"""Maximum characters of a statement in a description."""


class Change(NamedTuple):
    """Description of an operation, or its template with placeholders."""

    sign: str
    """+ adds, - removes, ~ alters."""
    description: str
    fragment: str
    """Part of the title of the migration. Empty for minor changes."""

    def __str__(self) -> str:
        return f"{self.sign} {self.description}"


TEMPLATES = {
    ops.CreateTableOp: Change("+", "Create table {table}", "{short}"),
    ops.DropTableOp: Change("-", "Drop table {table}", "drop_{short}"),
    ops.RenameTableOp: Change("~", "Rename table {table} to {step.new_table_name}", "rename_{short}"),
    ops.AddColumnOp: Change("+", "Add column {step.column.name} to {table}", "{short}_{step.column.name}"),
    ops.DropColumnOp: Change("-", "Drop column {step.column_name} of {table}", "drop_{short}_{step.column_name}"),
    ops.AlterColumnOp: Change("~", "Alter column {step.column_name} of {table}", "alter_{short}_{step.column_name}"),
    CreateSearchIndexOp: Change("+", "Create search index of {table} ({step.listed_names})", "{short}_search_index"),
    DropSearchIndexOp: Change("-", "Drop search index of {table}", "drop_{short}_search_index"),
    ops.CreateIndexOp: Change("+", "Create index {step.index_name} on {table}", ""),
    ops.DropIndexOp: Change("-", "Drop index {step.index_name} of {table}", ""),
    ops.AddConstraintOp: Change("+", "Add constraint {name} to {table}", ""),
    ops.DropConstraintOp: Change("-", "Drop constraint {name} of {table}", ""),
    ops.MigrateOperation: Change("~", "Change {table}", ""),
}
"""Descriptions with placeholders, by type of the operation. The first type that matches counts."""
RENAMED_COLUMN = Change(
    "~", "Rename column {step.column_name} of {table} to {step.modify_name}", "rename_{short}_{step.column_name}"
)
ALTERED_CHECK = Change("~", "Alter constraint {name} of {table}", "alter_{short}_{rule}")


def flatten(operations: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    """Yield the operations, also those of nested groups."""
    for operation in operations:
        yield from flatten(operation.ops) if isinstance(operation, ops.OpContainer) else [operation]


def describe(operations: Iterable[ops.MigrateOperation], feature: str) -> list[Change]:
    """Return the descriptions of operations. A check constraint that is dropped and added again is altered."""
    steps = [*flatten(operations)]
    dropped = {step.constraint_name for step in steps if isinstance(step, ops.DropConstraintOp)}
    altered = {step.constraint_name for step in steps if isinstance(step, ops.CreateCheckConstraintOp)} & dropped
    return [_describe_operation(step, feature, altered) for step in steps if not _is_implied(step, altered)]


def _is_implied(step: ops.MigrateOperation, altered: Collection[object]) -> bool:
    """Return whether another step describes this one, such as the drop of a check constraint that is added again."""
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


def _describe_operation(step: ops.MigrateOperation, feature: str, altered: Collection[object]) -> Change:
    match step:
        case CodeOp(description=description):
            return Change("~", description, "")
        case ops.ExecuteSQLOp(sqltext=sql):
            return Change("~", f"Run SQL: {shorten(' '.join(str(sql).split()), MAX_SQL_LENGTH, placeholder=' …')}", "")
        case ops.BulkInsertOp(table=target, rows=rows):
            return Change("+", f"Add {pluralize(len(rows), 'row')} to {target.name}", "")
        case ops.AlterColumnOp(modify_name=str()):
            template = RENAMED_COLUMN
        case ops.CreateCheckConstraintOp(constraint_name=name) if name in altered:
            template = ALTERED_CHECK
        case _:
            template = next(template for type_, template in TEMPLATES.items() if isinstance(step, type_))
    table = table_of(step)
    name = str(getattr(step, "constraint_name", None) or "")
    rule = name.removeprefix(f"ck_{table}_")
    names = {"step": step, "table": table, "short": table.removeprefix(f"{feature}_"), "name": name, "rule": rule}
    suffix = ", concurrently" if getattr(step, "kw", {}).get("postgresql_concurrently") else ""
    return Change(template.sign, template.description.format(**names) + suffix, template.fragment.format(**names))
