"""Choices that models do not determine: renames, and values for existing rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple, Self

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Table, inspect

from opportune.db.migrations.locks import set_lock_timeout
from opportune.db.migrations.naming import flatten
from opportune.db.migrations.options import OPTIONS
from opportune.errors import OperatorError

DROP_ADVICE = "If you want to drop it, add --allow-drop."


class Rename(NamedTuple):
    """Possible rename of a table, a column or an Enum value."""

    old: tuple[str, ...]
    """Table; table and column; or table, column and removed Enum value."""
    new: str
    type: str
    """Common type, such as VARCHAR(200). Empty if the types differ."""
    short_table: str
    """Name of the table without its feature."""
    is_likely: bool = True
    """Whether to suggest it. False if one of two different columns is a foreign key."""

    @property
    def question(self) -> str:
        match self.old:
            case [table]:
                return f"Was the table {table} renamed to {self.new}?"
            case [_table, column]:
                return f"Was {self.short_table}.{column} renamed to {self.short_table}.{self.new} (a {self.type})?"
        _table, column, value = self.old
        return f"Was '{value}' of {self.short_table}.{column} renamed to '{self.new}'?"

    @property
    def operation(self) -> ops.MigrateOperation:
        if len(self.old) == 1:
            return ops.RenameTableOp(self.old[0], self.new)
        return ops.AlterColumnOp(*self.old, modify_name=self.new)

    @property
    def reverse(self) -> Self:
        *path, name = self.old
        return self._replace(old=(*path, self.new), new=name)

    def apply(self, connection: Connection) -> None:
        """Rename in the database that models are compared with, until the transaction is rolled back."""
        set_lock_timeout(connection)
        Operations(MigrationContext.configure(connection, opts=OPTIONS)).invoke(self.operation)


@dataclass
class Choices:
    """Choices from options and, in an interactive terminal, from prompts."""

    renames: Mapping[str, str] = field(default_factory=dict)
    fills: Mapping[str, str | None] = field(default_factory=dict)
    """Values for existing rows by column. None means that the owner writes code in the migration."""
    may_drop: bool = True
    confirm: Callable[[str], bool] | None = None
    prompt: Callable[[str], str] | None = None
    _used_options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Old name of the table or column that each option has matched."""
    _denied_questions: set[str] = field(default_factory=set)

    def choose_rename(self, possible: Sequence[Rename]) -> Rename | None:
        """Return the next rename that an option names or the owner confirms, or None."""
        for old, new in self.renames.items():
            matches = [rename for rename in possible if _matches(rename, old, new)]
            self._mark_used(f"--rename {old}={new}", [rename.old for rename in matches])
            if matches:
                return matches[0]
        return next((rename for rename in possible if rename.type and self._confirm(rename)), None)

    def refuse_drops(self, dropped: Sequence[tuple[str, ...]], possible: Sequence[Rename]) -> None:
        """Refuse to drop tables and columns without --allow-drop, because they may have been renamed."""
        if not dropped or self.may_drop:
            return
        verb, owner = ("exists", "its") if len(dropped) == 1 else ("exist", "their")
        names = ", ".join(map(".".join, dropped))
        advice = self._advise_on_drop(dropped[0], possible)
        raise OperatorError(f"{names} no longer {verb} in the models, and {owner} data would be lost. {advice}")

    def _advise_on_drop(self, path: tuple[str, ...], possible: Sequence[Rename]) -> str:
        if option := self._option_for(path):
            advice = "First write the migration of a rename that frees the name."
            return f"{option} names nothing new. {advice} {DROP_ADVICE}"
        if likely := [rename for rename in possible if rename.old == path and rename.is_likely]:
            new_name = min(likely, key=lambda rename: not rename.type).new  # one of the same type, if possible
            return f"If it has a new name, add --rename {'.'.join(path)}={new_name}. {DROP_ADVICE}"
        return DROP_ADVICE

    def fill_value(self, table: str, column: str, short_table: str, *, by_code: bool) -> str | None:
        """Return the value of existing rows in a NOT NULL column, or None if the owner writes code.

        Args:
            by_code: Return None unless an option gives the value, because the values must differ per row.
        """
        name = (table, column)
        for option, value in self.fills.items():
            if option in _spellings(name, short_table):
                self._mark_used(f"--fill {option}", [name])
                return value
        if by_code:
            return None
        problem = f"{table}.{column} is required and has no default"
        if self.prompt:
            return self.prompt(f"{problem}. Value for existing rows?") or None
        raise OperatorError(
            f"{problem}, so existing rows would have no value. Give the field a default, allow None, or add "
            f"--fill {table}.{column}=VALUE. Without =VALUE you write code in the migration that fills it."
        )

    def refuse_unused(self) -> None:
        """Refuse options that match nothing, for example because of a typo."""
        options = [f"--rename {old}={new}" for old, new in self.renames.items()]
        options += [f"--fill {column}" for column in self.fills]
        if unused := [option for option in options if option not in self._used_options]:
            raise OperatorError(
                f"{unused[0]} matches nothing. --rename needs a removed name and a new one of the same table (swap two "
                "names through a third, with a migration for each of the three renames), and --fill a column that "
                "becomes required. See makemigrations --check."
            )

    def _option_for(self, path: Sequence[str]) -> str:
        """Return an unused option that renames a table, column or Enum value; empty if there is none."""
        options = [f"--rename {old}={new}" for old, new in self.renames.items() if old.rpartition(".")[2] == path[-1]]
        return next((option for option in options if option not in self._used_options), "")

    def _confirm(self, rename: Rename) -> bool:
        question = rename.question
        if not self.confirm or question in self._denied_questions or self._option_for(rename.old):
            return False
        confirmed = self.confirm(question)
        if not confirmed:
            self._denied_questions.add(question)
        return confirmed

    def _mark_used(self, option: str, matches: Sequence[tuple[str, ...]]) -> None:
        """Record what an option matches. It must not match anything else in this or a later comparison."""
        if not matches:
            return
        names = sorted({*matches, self._used_options.setdefault(option, matches[0])})
        if len(names) > 1:
            raise OperatorError(f"{option} matches {' and '.join(map('.'.join, names))}. Add the name of the table.")


def parse_options(options: Iterable[str]) -> dict[str, str | None]:
    """Split `name=value` options. The value is None without `=`."""
    parts = (option.partition("=") for option in options)
    return {left.strip(): value if sign else None for left, sign, value in parts}


def _matches(rename: Rename, old: str, new: str) -> bool:
    if old not in _spellings(rename.old, rename.short_table):
        return False
    is_table = len(rename.old) == 1
    return new == rename.new or new.endswith(f".{rename.new}") or (is_table and rename.new.endswith(f"_{new}"))


def _spellings(path: tuple[str, ...], short_table: str) -> set[str]:
    """Return all accepted spellings: `books_book.title`, `book.title` and `title`."""
    return {".".join(path[start:]) for start in range(len(path))} | {".".join((short_table, *path[1:]))}


def find_dropped_names(operations: Sequence[ops.MigrateOperation]) -> Iterator[tuple[str, ...]]:
    for operation in flatten(operations):
        if isinstance(operation, ops.DropTableOp):
            yield (operation.table_name,)
        elif isinstance(operation, ops.DropColumnOp):
            yield operation.table_name, operation.column_name


def find_possible_renames(
    context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str
) -> Iterator[Rename]:
    """Yield pairs of dropped and added tables or columns that may be renames."""
    created = [operation for operation in operations if isinstance(operation, ops.CreateTableOp)]
    dropped = [operation for operation in operations if isinstance(operation, ops.DropTableOp)]
    for new, old in product(created, dropped):
        type_ = "table" if _have_same_columns(context, old.to_table(), new.to_table()) else ""
        yield Rename((old.table_name,), new.table_name, type_, old.table_name.removeprefix(f"{feature}_"))
    yield from _find_column_renames(context, operations, feature)


def _have_same_columns(context: MigrationContext, old: Table, new: Table) -> bool:
    names = set(old.columns.keys())
    return names == set(new.columns.keys()) and all(
        _has_same_type(context, old.columns[name], new.columns[name]) for name in names
    )


def _find_column_renames(
    context: MigrationContext, operations: Sequence[ops.MigrateOperation], feature: str
) -> Iterator[Rename]:
    for table in (part for part in operations if isinstance(part, ops.ModifyTableOps)):
        added = [part.column for part in table.ops if isinstance(part, ops.AddColumnOp)]
        dropped = [part.to_column() for part in table.ops if isinstance(part, ops.DropColumnOp)]
        short_table = table.table_name.removeprefix(f"{feature}_")
        for new, old in product(added, dropped):
            type_ = str(new.type) if _has_same_type(context, old, new) else ""
            is_likely = bool(type_) or not (old.foreign_keys or new.foreign_keys)
            yield Rename((table.table_name, old.name), new.name, type_, short_table, is_likely)


def _has_same_type(context: MigrationContext, old: Column[object], new: Column[object]) -> bool:
    return not context.impl.compare_type(old, new)


def referencing_tables(connection: Connection, table_name: str, *column: str) -> set[str]:
    """Return tables that reference a table or column. Apply their migrations before it is renamed or dropped."""
    keys = inspect(connection).get_multi_foreign_keys()
    tables: set[str] = set()
    for (_schema, table), table_keys in keys.items():
        for key in table_keys:
            if key["referred_table"] == table_name and {*column}.issubset(key["referred_columns"]):
                tables.add(table)
    return tables
