"""Enums that have gained, lost or renamed members, and the rows that have these."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import ops

from app.core.db.migrations.answers import Answers, Rename
from app.core.db.migrations.checks import listed
from app.core.db.migrations.code import CodeOp, literal, quoted

Value = str | int
Place = tuple[str, str]
"""Table and column."""


@dataclass(frozen=True)
class Change:
    """A check constraint in place of another."""

    drop: ops.DropConstraintOp
    add: ops.CreateCheckConstraintOp
    column: str
    old: Sequence[Value]
    new: Sequence[Value]

    @property
    def place(self) -> Place:
        return self.drop.table_name, self.column

    @property
    def lost(self) -> list[Value]:
        return [value for value in self.old if value not in self.new]


@dataclass(frozen=True)
class Members:
    """Lets rows follow the members of Enums, in one feature's tables."""

    feature: str
    answers: Answers
    renamed: dict[Place, dict[Value, Value]] = field(default_factory=dict)
    """What an upgrade makes of values, for the downgrade to undo."""

    def upgrade(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        for change in _changes(operations):
            self.renamed[change.place] = self._ask(change)
        return _with_rows(operations, self.renamed)

    def downgrade(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        undone = {place: {new: old for old, new in values.items()} for place, values in self.renamed.items()}
        return _with_rows(operations, undone)

    def _ask(self, change: Change) -> dict[Value, Value]:
        table, column = change.place
        short = table.removeprefix(f"{self.feature}_")
        found: dict[Value, Value] = {}
        while chosen := self.answers.choose(
            [
                Rename((table, column, str(old)), str(new), "" if new in change.old else "value", short)
                for new in change.new
                for old in change.lost
                if old not in found and new not in found.values()
            ]
        ):
            by_name = {str(value): value for value in (*change.old, *change.new)}
            found[by_name[chosen.old[2]]] = by_name[chosen.new]
        return found


def _with_rows(
    operations: Sequence[ops.MigrateOperation], renamed: Mapping[Place, Mapping[Value, Value]]
) -> list[ops.MigrateOperation]:
    result: list[ops.MigrateOperation] = []
    for operation in operations:
        result += _in_steps(operation, renamed) if isinstance(operation, ops.ModifyTableOps) else [operation]
    return result


def _in_steps(
    operation: ops.ModifyTableOps, renamed: Mapping[Place, Mapping[Value, Value]]
) -> Iterator[ops.MigrateOperation]:
    changes = [change for change in _changes([operation]) if change.lost]
    adds: list[ops.MigrateOperation] = [change.add for change in changes]
    yield ops.ModifyTableOps(operation.table_name, [part for part in operation.ops if part not in adds])
    for change in changes:
        yield from _code(change, renamed.get(change.place, {}))
    if adds:
        yield ops.ModifyTableOps(operation.table_name, adds)


def _code(change: Change, renamed: Mapping[Value, Value]) -> Iterator[CodeOp]:
    for old in change.lost:
        if old in renamed and renamed[old] in change.new:
            yield CodeOp("", f"op.execute({_update(change, old, literal(renamed[old]))!r})")
        else:
            table, column = change.place
            yield CodeOp(
                f"Rows of {table} whose {column} is {literal(old)} will make `migrate` stop: see FILL in the file",
                f"# FILL: rows whose {column} is {literal(old)} make the next step fail. Say what they get instead:\n"
                f"# op.execute({_update(change, old, '…')!r})",
            )


def _update(change: Change, old: Value, new: str) -> str:
    column = quoted(change.column)
    return f"UPDATE {change.place[0]} SET {column} = {new} WHERE {column} = {literal(old)}"  # noqa: S608 - a model's


def _changes(operations: Sequence[ops.MigrateOperation]) -> Iterator[Change]:
    for operation in operations:
        parts = operation.ops if isinstance(operation, ops.ModifyTableOps) else ()
        drops = {}
        for part in parts:
            if isinstance(part, ops.DropConstraintOp) and part.constraint_type == "check":
                constraint: Any = part.to_constraint()
                if old := listed(constraint.sqltext):
                    drops[old.column] = part, old.values
            elif isinstance(part, ops.CreateCheckConstraintOp):
                # Found by the column: with a new name of its table or its own the constraint has a new name as well.
                new = listed(part.condition)
                if new and (there := drops.get(new.column)):
                    yield Change(there[0], part, new.column, there[1], new.values)
