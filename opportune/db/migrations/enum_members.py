"""Migration steps that update rows when the members of an Enum change."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from alembic.operations import ops

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.create_statements import parse_allowed_values
from opportune.db.migrations.portable_sql import execute_code, quote_literal, quote_name
from opportune.db.migrations.questions import Choices, Rename

Steps = Sequence[ops.MigrateOperation]
Value = str | int
ColumnName = tuple[str, str]
"""Table and column."""


class MembersChange(NamedTuple):
    """Change of the values that a check constraint allows in a column."""

    constraint: ops.CreateCheckConstraintOp
    """Step that adds the new constraint."""
    column: str
    old: Sequence[Value]
    new: Sequence[Value]

    @property
    def target(self) -> ColumnName:
        return self.constraint.table_name, self.column

    @property
    def removed(self) -> list[Value]:
        return [value for value in self.old if value not in self.new]


class EnumMembers:
    """Adds steps that update rows when Enum members in the tables of a feature change."""

    def __init__(self, feature: str, choices: Choices) -> None:
        self.feature = feature
        self.choices = choices
        self.renames: dict[ColumnName, dict[Value, Value]] = {}

    def upgrade(self, parts: Steps) -> Steps:
        """Return the steps on a table with updates of rows, according to the owner."""
        changes = [*_find_changes(parts)]
        for change in changes:
            self.renames[change.target] = self._choose_renames(change)
        return _with_row_updates(parts, changes, self.renames)

    def downgrade(self, parts: Steps) -> Steps:
        """Return the steps on a table with updates that reverse the renames of `upgrade`."""
        reverse = {target: {new: old for old, new in values.items()} for target, values in self.renames.items()}
        return _with_row_updates(parts, [*_find_changes(parts)], reverse)

    def _choose_renames(self, change: MembersChange) -> dict[Value, Value]:
        """Return the new value by removed value of the members that were renamed, according to the owner."""
        by_text = {str(value): value for value in (*change.old, *change.new)}
        renames: dict[Value, Value] = {}
        while rename := self.choices.choose_rename([*self._possible_renames(change, renames)]):
            _table, _column, old = rename.old
            renames[by_text[old]] = by_text[rename.new]
        return renames

    def _possible_renames(self, change: MembersChange, renames: Mapping[Value, Value]) -> Iterator[Rename]:
        """Yield the renames between values that no chosen rename uses. Only new values are suggested."""
        table, column = change.target
        short_table = table.removeprefix(f"{self.feature}_")
        for new in change.new:
            for old in change.removed:
                if old not in renames and new not in renames.values():
                    suggested_type = "" if new in change.old else "value"
                    yield Rename((table, column, str(old)), str(new), suggested_type, short_table)


def _with_row_updates(
    parts: Steps, changes: Sequence[MembersChange], renames: Mapping[ColumnName, Mapping[Value, Value]]
) -> Steps:
    """Return the steps, with updates of rows before the new constraints are added."""
    changes = [change for change in changes if change.removed]
    constraints = [change.constraint for change in changes]
    updates = [step for change in changes for step in _make_row_updates(change, renames.get(change.target, {}))]
    return [*(part for part in parts if part not in constraints), *updates, *constraints]


def _make_row_updates(change: MembersChange, renames: Mapping[Value, Value]) -> Iterator[CodeOp]:
    for old in change.removed:
        if old in renames and renames[old] in change.new:
            yield CodeOp("", execute_code(_update_statement(change, old, quote_literal(renames[old]))))
        else:
            table, column = change.target
            yield CodeOp(
                f"`migrate` fails if rows of {table} have {column} {quote_literal(old)}: see FILL in the file",
                f"# FILL: rows with {column} {quote_literal(old)} make the next step fail. Set another value:\n"
                f"# {execute_code(_update_statement(change, old, '…'))}",
            )


def _update_statement(change: MembersChange, old: Value, new: str) -> str:
    table, column = map(quote_name, change.target)
    return f"UPDATE {table} SET {column} = {new} WHERE {column} = {quote_literal(old)}"


def _find_changes(parts: Steps) -> Iterator[MembersChange]:
    """Yield the checks that replace a dropped check of the same column."""
    drops: dict[str, Sequence[Value]] = {}
    for part in parts:
        if isinstance(part, ops.DropConstraintOp) and part.constraint_type == "check":
            constraint: Any = part.to_constraint()
            if old := parse_allowed_values(constraint.sqltext):
                drops[old.column] = old.values
        elif isinstance(part, ops.CreateCheckConstraintOp):
            # Matched by column: the name of the constraint changes with those of its table and column.
            new = parse_allowed_values(part.condition)
            if new and new.column in drops:
                yield MembersChange(part, new.column, drops[new.column], new.values)
