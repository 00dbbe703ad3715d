"""Migration steps that change the type of a column or the members of its Enum, and convert the values of rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import ops
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import Uuid

from opportune.db.migrations.create_statements import parse_allowed_values
from opportune.db.migrations.portable_sql import literal, quoted
from opportune.db.migrations.questions import Choices, Rename
from opportune.db.migrations.rendering import CodeOp, portable_type_code
from opportune.db.migrations.value_conversion import Family, family_of, reflected_family
from opportune.db.models.column_types import EnumValue
from opportune.db.models.columns import undecorated
from opportune.db.models.translated import TranslatedColumn, site_language

IMPORT = "from opportune.db.migrations.conversion import convert_column"
NUMBERS = {Family.INTEGER, Family.DECIMAL}
TIMES = {Family.DATE, Family.DATETIME}

Value = str | int
ColumnName = tuple[str, str]
"""Table and column."""


def add_conversions(operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Return the operations, with `convert_column` for changed types that need a conversion."""
    return [part for operation in operations for part in _with_conversions(operation)]


def _with_conversions(operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    if not isinstance(operation, ops.ModifyTableOps):
        yield operation
        return
    remaining_operations: list[ops.MigrateOperation] = []
    for part in operation.ops:
        if isinstance(part, ops.AlterColumnOp) and _needs_conversion(part):
            if remaining_operations:
                yield ops.ModifyTableOps(operation.table_name, remaining_operations)
            yield _make_conversion(part)
            remaining_operations = [_without_type(part)] if part.modify_nullable is not None else []
        else:
            remaining_operations.append(part)
    if remaining_operations:
        yield ops.ModifyTableOps(operation.table_name, remaining_operations)


def _needs_conversion(part: ops.AlterColumnOp) -> bool:
    old, new = part.existing_type, part.modify_type
    if old is None or new is None or not (reflected_family(old) and reflected_family(new)):
        return False
    if reflected_family(old) is not reflected_family(new):
        return True
    return family_of(new) is Family.DECIMAL and (
        _integer_digits(new) < _integer_digits(old) or _scale(new) < _scale(old)
    )


def _integer_digits(type_: Any) -> float:
    return float("inf") if type_.precision is None else type_.precision - (type_.scale or 0)


def _scale(type_: Any) -> float:
    return float("inf") if type_.scale is None else type_.scale


def _without_type(part: ops.AlterColumnOp) -> ops.AlterColumnOp:
    """Return only the change between NULL and NOT NULL, with the new type."""
    return ops.AlterColumnOp(
        part.table_name,
        part.column_name,
        existing_type=part.modify_type,
        existing_nullable=not part.modify_nullable,
        modify_nullable=part.modify_nullable,
    )


def _make_conversion(part: ops.AlterColumnOp) -> CodeOp:
    table, name = part.table_name, quoted(part.column_name)
    imports = {IMPORT}
    arguments = f"op, {table!r}, {part.column_name!r}, {_conversion_arguments(part, imports)}"
    lines = (
        f"# FILL: `migrate` fails for values that cannot be converted, and names their rows. Set other values:\n"
        f"# op.execute({f'UPDATE {quoted(table)} SET {name} = … WHERE {name} = …'!r})\n"
        f"convert_column({arguments})"
    )
    description = f"Convert {table}.{part.column_name}: see FILL in the file for values that fail"
    return CodeOp(description, lines, sorted(imports))


def _conversion_arguments(part: ops.AlterColumnOp, imports: set[str]) -> str:
    """Return the code of the new type and the options of `convert_column`. Imports of the type are added."""
    type_ = _generic_type(part.modify_type)
    name = quoted(part.column_name)
    language = site_language()
    if not _changes_translation(part):
        return f"sa.{type_!r}, postgresql_using={_using_expression(part, type_)!r}"
    if isinstance(part.modify_type, TranslatedColumn):
        using = f"jsonb_build_object('{language}', {name})"
        return f"{portable_type_code(part.modify_type, imports)}, postgresql_using={using!r}, language={language!r}"
    using = f"coalesce({name} ->> '{language}', '')"
    return f"sa.{type_!r}, postgresql_using={using!r}, language={language!r}"


def _changes_translation(part: ops.AlterColumnOp) -> bool:
    """Return whether a text becomes a translated text or the reverse."""
    old, new = part.existing_type, part.modify_type
    families = {reflected_family(old), reflected_family(new)}
    return families == {Family.TEXT, Family.JSON} and any(isinstance(type_, TranslatedColumn) for type_ in (old, new))


def _generic_type(type_: Any) -> Any:
    """Return a portable type instead of a type of one dialect, such as JSONB or CHAR(32) for a UUID."""
    if reflected_family(type_) is Family.UUID:
        return Uuid()
    return undecorated(type_).as_generic()


def _using_expression(part: ops.AlterColumnOp, type_: Any) -> str:
    name = quoted(part.column_name)
    old = reflected_family(part.existing_type)
    new = family_of(type_)
    target = type_.compile(postgresql.dialect()).lower()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    if new is Family.TEXT:
        return f"{name}::text"  # a cast to varchar(n) would truncate
    if new is Family.JSON and old is not Family.TEXT:
        return f"to_{target}({name})"
    if old is Family.JSON:
        return f"({name} #>> '{{}}')::{target}"
    if new is Family.BOOLEAN and old in NUMBERS:
        return f"({name} <> 0)"
    if old is Family.BOOLEAN and new in NUMBERS:
        return f"{name}::integer::{target}"
    is_direct = old is Family.TEXT or {old, new} <= NUMBERS or {old, new} <= TIMES
    return f"{name}::{target}" if is_direct else f"{name}::text::{target}"


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
            for change in changes:
                self.renamed[change.target] = self._choose_renames(change)
            for change, values in self._find_name_changes(operation):
                changes.append(change)
                self.renamed[change.target] = values
            result += _with_row_updates(operation, changes, self.renamed)
        return result

    def downgrade(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        undone = {target: {new: old for old, new in values.items()} for target, values in self.renamed.items()}
        result: list[ops.MigrateOperation] = []
        for operation in operations:
            result += _with_row_updates(operation, [*_find_changes(operation)], undone)
        return result

    def _find_name_changes(self, operation: ops.MigrateOperation) -> Iterator[tuple[MembersChange, dict[Value, Value]]]:
        """Yield the changes of columns that stored member names, as SQLModel does, and now store member values."""
        parts = operation.ops if isinstance(operation, ops.ModifyTableOps) else []
        alterations = [part for part in parts if isinstance(part, ops.AlterColumnOp) and part.modify_type]
        old_types = {part.column_name: part.existing_type for part in alterations}
        for add in parts:
            if not isinstance(add, ops.CreateCheckConstraintOp):
                continue
            allowed = parse_allowed_values(add.condition)
            if allowed is None or allowed.column not in old_types:
                continue
            values = self._values_by_name(add.table_name, allowed.column)
            longest = max((len(str(name)) for name in values), default=0)  # SQLModel makes the column as long as that
            if values and getattr(old_types[allowed.column], "length", None) == longest:
                yield MembersChange(add, allowed.column, [*values], allowed.values), values

    def _values_by_name(self, table: str, column: str) -> dict[Value, Value]:
        type_ = self.metadata.tables[table].columns[column].type
        return {str(member.name): member.value for member in type_.enum} if isinstance(type_, EnumValue) else {}

    def _choose_renames(self, change: MembersChange) -> dict[Value, Value]:
        """Return the new value by removed value of the members that were renamed, according to the owner."""
        by_text = {str(value): value for value in (*change.old, *change.new)}
        renames: dict[Value, Value] = {}
        while rename := self.choices.choose_rename([*self._possible_renames(change, renames)]):
            renames[by_text[rename.old[2]]] = by_text[rename.new]
        return renames

    def _possible_renames(self, change: MembersChange, renames: Mapping[Value, Value]) -> Iterator[Rename]:
        """Yield the renames between values that no chosen rename uses. Only new values are suggested."""
        table, column = change.target
        short_table = table.removeprefix(f"{self.feature}_")
        for new in change.new:
            for old in change.removed:
                if old not in renames and new not in renames.values():
                    type_ = "" if new in change.old else "value"
                    yield Rename((table, column, str(old)), str(new), type_, short_table)


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
    table, column = map(quoted, change.target)
    return f"UPDATE {table} SET {column} = {new} WHERE {column} = {literal(old)}"


def _find_changes(operation: ops.MigrateOperation) -> Iterator[MembersChange]:
    """Yield the checks of an operation that replace a dropped check of the same column."""
    drops: dict[str, Sequence[Value]] = {}
    parts = operation.ops if isinstance(operation, ops.ModifyTableOps) else ()
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
