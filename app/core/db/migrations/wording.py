"""What a migration does, in words: for the terminal and for its file's name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alembic.operations import ops

LONGEST_NAME = 50


@dataclass(frozen=True)
class Change:
    """One operation of a migration."""

    sign: str
    """+ adds, - removes, ~ alters."""
    words: str
    fragment: str
    """Its part of the file's name; empty where it only accompanies another change."""

    def __str__(self) -> str:
        return f"{self.sign} {self.words}"


def flat(operations: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """The operations without the groups that they are in."""
    found: list[ops.MigrateOperation] = []
    for operation in operations:
        found += flat(operation.ops) if isinstance(operation, ops.OpContainer) else [operation]
    return found


def describe(operations: Iterable[ops.MigrateOperation], feature: str) -> list[Change]:
    return [_change(operation, feature) for operation in flat(operations)]


def name_for(changed: Sequence[Change], *, first: bool) -> str:
    """A file's name from what is in it: `initial`, `todo_due_on`, `todo_due_on_and_more`."""
    if first:
        return "initial"
    fragments = [change.fragment for change in changed if change.fragment] or ["changes"]
    return slug(fragments[0]) + ("_and_more" if len(fragments) > 1 else "")


def slug(words: str) -> str:
    """Words as they may stand in a file's name; empty if nothing is left of them."""
    return "_".join(re.findall(r"[a-z0-9]+", words.lower()))[:LONGEST_NAME].strip("_")


def _change(operation: ops.MigrateOperation, feature: str) -> Change:  # noqa: PLR0911 - one line for each operation
    table = str(getattr(operation, "table_name", ""))
    short = table.removeprefix(f"{feature}_")
    match operation:
        case ops.CreateTableOp():
            return Change("+", f"Create table {table}", short)
        case ops.DropTableOp():
            return Change("-", f"Drop table {table}", f"drop_{short}")
        case ops.AddColumnOp(column=column):
            return Change("+", f"Add column {column.name} to {table}", f"{short}_{column.name}")
        case ops.DropColumnOp(column_name=column):
            return Change("-", f"Drop column {column} of {table}", f"drop_{short}_{column}")
        case ops.AlterColumnOp(column_name=column):
            return Change("~", f"Alter column {column} of {table}", f"alter_{short}_{column}")
        case ops.CreateIndexOp(index_name=index):
            return Change("+", f"Create index {index} on {table}", "")
        case ops.DropIndexOp(index_name=index):
            return Change("-", f"Drop index {index} of {table}", "")
        case ops.AddConstraintOp():
            return Change("+", f"Add constraint {operation.to_constraint().name} to {table}", "")
        case ops.DropConstraintOp(constraint_name=constraint):
            return Change("-", f"Drop constraint {constraint} of {table}", "")
        case _:
            return Change("~", f"{type(operation).__name__.removesuffix('Op')} {table}", "")
