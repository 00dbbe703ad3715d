"""Added, removed and renamed members of Enums, with steps that update rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import ops
from sqlalchemy import MetaData

from opportune.db.migrations.allowed_values import parse_allowed_values
from opportune.db.migrations.questions import Choices, Rename
from opportune.db.migrations.rendering import CodeOp, literal, quoted
from opportune.db.models.enums import EnumValue

Value = str | int
ColumnName = tuple[str, str]
"""Table and column."""


@dataclass(frozen=True)
class MembersChange:
    """Change of the values that a check constraint allows in a column."""

    add: ops.CreateCheckConstraintOp
    column: str
    old: Sequence[Value]
    new: Sequence[Value]

    @property
    def target(self) -> ColumnName:
        return self.add.table_name, self.column

    @property
    def removed(self) -> list[Value]:
        return [value for value in self.old if value not in self.new]


@dataclass(frozen=True)
class EnumMembers:
    """Adds steps that update rows when Enum members in the tables of a feature change."""

    feature: str
    metadata: MetaData
    choices: Choices
    renamed: dict[ColumnName, dict[Value, Value]] = field(default_factory=dict)
    """New value by old value of each column. The downgrade reverses them."""

    def upgrade(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        result: list[ops.MigrateOperation] = []
        for operation in operations:
            changes = [*_find_changes(operation)]
            self.renamed.update({change.target: self._choose_renames(change) for change in changes})
            for change, values in self._find_name_changes(operation):
                changes.append(change)
                self.renamed[change.target] = values
            result += _with_row_updates(operation, changes, self.renamed)
        return result

    def downgrade(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        undone = {target: {new: old for old, new in values.items()} for target, values in self.renamed.items()}
        return [
            part
            for operation in operations
            for part in _with_row_updates(operation, [*_find_changes(operation)], undone)
        ]

    def _find_name_changes(self, operation: ops.MigrateOperation) -> Iterator[tuple[MembersChange, dict[Value, Value]]]:
        """Yield the changes of columns that stored member names, as SQLModel does, and now store member values."""
        parts = operation.ops if isinstance(operation, ops.ModifyTableOps) else []
        altered = {part.column_name: part for part in parts if isinstance(part, ops.AlterColumnOp) and part.modify_type}
        for add in parts:
            allowed = parse_allowed_values(add.condition) if isinstance(add, ops.CreateCheckConstraintOp) else None
            if isinstance(add, ops.CreateCheckConstraintOp) and allowed and allowed.column in altered:
                values = self._values_by_name(add.table_name, allowed.column)
                length = getattr(altered[allowed.column].existing_type, "length", None)
                if values and length == max(len(str(name)) for name in values):
                    yield MembersChange(add, allowed.column, [*values], allowed.values), values

    def _values_by_name(self, table: str, column: str) -> dict[Value, Value]:
        type_ = self.metadata.tables[table].columns[column].type
        return {str(member.name): member.value for member in type_.enum} if isinstance(type_, EnumValue) else {}

    def _choose_renames(self, change: MembersChange) -> dict[Value, Value]:
        table, column = change.target
        short_table = table.removeprefix(f"{self.feature}_")
        renames: dict[Value, Value] = {}
        while rename := self.choices.choose_rename(
            [
                Rename((table, column, str(old)), str(new), "" if new in change.old else "value", short_table)
                for new in change.new
                for old in change.removed
                if old not in renames and new not in renames.values()
            ]
        ):
            by_name = {str(value): value for value in (*change.old, *change.new)}
            renames[by_name[rename.old[2]]] = by_name[rename.new]
        return renames


def _with_row_updates(
    operation: ops.MigrateOperation,
    changes: Sequence[MembersChange],
    renamed: Mapping[ColumnName, Mapping[Value, Value]],
) -> Iterator[ops.MigrateOperation]:
    """Yield the operation, with updates of rows before the new constraint is added."""
    changes = [change for change in changes if change.removed]
    if not changes or not isinstance(operation, ops.ModifyTableOps):
        yield operation
        return
    adds: list[ops.MigrateOperation] = [change.add for change in changes]
    yield ops.ModifyTableOps(operation.table_name, [part for part in operation.ops if part not in adds])
    for change in changes:
        yield from _make_row_updates(change, renamed.get(change.target, {}))
    yield ops.ModifyTableOps(operation.table_name, adds)


def _make_row_updates(change: MembersChange, renamed: Mapping[Value, Value]) -> Iterator[CodeOp]:
    for old in change.removed:
        if old in renamed and renamed[old] in change.new:
            yield CodeOp("", f"op.execute({_update_statement(change, old, literal(renamed[old]))!r})")
        else:
            table, column = change.target
            yield CodeOp(
                f"`migrate` fails if rows of {table} have {column} {literal(old)}: see FILL in the file",
                f"# FILL: rows with {column} {literal(old)} make the next step fail. Set another value:\n"
                f"# op.execute({_update_statement(change, old, '…')!r})",
            )


def _update_statement(change: MembersChange, old: Value, new: str) -> str:
    column = quoted(change.column)
    return f"UPDATE {change.target[0]} SET {column} = {new} WHERE {column} = {literal(old)}"


def _find_changes(operation: ops.MigrateOperation) -> Iterator[MembersChange]:
    drops: dict[str, Sequence[Value]] = {}
    for part in operation.ops if isinstance(operation, ops.ModifyTableOps) else ():
        if isinstance(part, ops.DropConstraintOp) and part.constraint_type == "check":
            constraint: Any = part.to_constraint()
            if old := parse_allowed_values(constraint.sqltext):
                drops[old.column] = old.values
        elif isinstance(part, ops.CreateCheckConstraintOp):
            # Matched by column: the name of the constraint changes with those of its table and column.
            new = parse_allowed_values(part.condition)
            if new and new.column in drops:
                yield MembersChange(part, new.column, drops[new.column], new.values)
