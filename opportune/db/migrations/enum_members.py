"""Enums that have gained, lost or renamed members, and the rows that have these."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import ops
from sqlalchemy import MetaData

from opportune.db.migrations.checks import parse_allowed_values
from opportune.db.migrations.python_steps import CodeOp, literal, quoted
from opportune.db.migrations.questions import Answers, Rename
from opportune.db.models.enums import EnumValue

Value = str | int
Place = tuple[str, str]
"""Table and column."""


@dataclass(frozen=True)
class MembersChange:
    """A check constraint that lists other values than a column may have had so far."""

    add: ops.CreateCheckConstraintOp
    column: str
    old: Sequence[Value]
    new: Sequence[Value]

    @property
    def place(self) -> Place:
        return self.add.table_name, self.column

    @property
    def lost(self) -> list[Value]:
        return [value for value in self.old if value not in self.new]


@dataclass(frozen=True)
class EnumMembers:
    """Lets rows follow the members of Enums, in one feature's tables."""

    feature: str
    metadata: MetaData
    answers: Answers
    renamed: dict[Place, dict[Value, Value]] = field(default_factory=dict)
    """What an upgrade makes of values, for the downgrade to undo."""

    def upgrade(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        result: list[ops.MigrateOperation] = []
        for operation in operations:
            changes = [*_changes(operation)]
            self.renamed.update({change.place: self._ask(change) for change in changes})
            for change, values in self._by_name(operation):
                changes.append(change)
                self.renamed[change.place] = values
            result += _in_steps(operation, changes, self.renamed)
        return result

    def downgrade(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        undone = {place: {new: old for old, new in values.items()} for place, values in self.renamed.items()}
        return [part for operation in operations for part in _in_steps(operation, [*_changes(operation)], undone)]

    def _by_name(self, operation: ops.MigrateOperation) -> Iterator[tuple[MembersChange, dict[Value, Value]]]:
        """Columns that hold the names of members, as those of SQLModel's own do."""
        parts = operation.ops if isinstance(operation, ops.ModifyTableOps) else []
        altered = {part.column_name: part for part in parts if isinstance(part, ops.AlterColumnOp) and part.modify_type}
        for add in parts:
            found = parse_allowed_values(add.condition) if isinstance(add, ops.CreateCheckConstraintOp) else None
            if isinstance(add, ops.CreateCheckConstraintOp) and found and found.column in altered:
                values = self._values_by_name(add.table_name, found.column)
                length = getattr(altered[found.column].existing_type, "length", None)
                if values and length == max(len(str(name)) for name in values):
                    yield MembersChange(add, found.column, [*values], found.values), values

    def _values_by_name(self, table: str, column: str) -> dict[Value, Value]:
        kind = self.metadata.tables[table].columns[column].type
        return {str(member.name): member.value for member in kind.kind} if isinstance(kind, EnumValue) else {}

    def _ask(self, change: MembersChange) -> dict[Value, Value]:
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


def _in_steps(
    operation: ops.MigrateOperation, changes: Sequence[MembersChange], renamed: Mapping[Place, Mapping[Value, Value]]
) -> Iterator[ops.MigrateOperation]:
    """The operation, with what happens to rows before their values are looked at."""
    changes = [change for change in changes if change.lost]
    if not changes or not isinstance(operation, ops.ModifyTableOps):
        yield operation
        return
    adds: list[ops.MigrateOperation] = [change.add for change in changes]
    yield ops.ModifyTableOps(operation.table_name, [part for part in operation.ops if part not in adds])
    for change in changes:
        yield from _code(change, renamed.get(change.place, {}))
    yield ops.ModifyTableOps(operation.table_name, adds)


def _code(change: MembersChange, renamed: Mapping[Value, Value]) -> Iterator[CodeOp]:
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


def _update(change: MembersChange, old: Value, new: str) -> str:
    column = quoted(change.column)
    return f"UPDATE {change.place[0]} SET {column} = {new} WHERE {column} = {literal(old)}"


def _changes(operation: ops.MigrateOperation) -> Iterator[MembersChange]:
    drops: dict[str, Sequence[Value]] = {}
    for part in operation.ops if isinstance(operation, ops.ModifyTableOps) else ():
        if isinstance(part, ops.DropConstraintOp) and part.constraint_type == "check":
            constraint: Any = part.to_constraint()
            if old := parse_allowed_values(constraint.sqltext):
                drops[old.column] = old.values
        elif isinstance(part, ops.CreateCheckConstraintOp):
            # Found by the column: with a new name of its table or its own the constraint has a new name as well.
            new = parse_allowed_values(part.condition)
            if new and new.column in drops:
                yield MembersChange(part, new.column, drops[new.column], new.values)
