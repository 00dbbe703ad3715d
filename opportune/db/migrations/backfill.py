"""Values for existing rows when a column becomes or is added as NOT NULL."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from alembic.operations import ops
from pydantic import TypeAdapter
from sqlalchemy import JSON, Column, MetaData, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from opportune.db.migrations.portable_sql import literal, quoted
from opportune.db.migrations.questions import Choices
from opportune.db.migrations.rendering import NEXT_BATCH, CodeOp, column_code
from opportune.db.models.column_types import EnumValue
from opportune.db.models.columns import undecorated
from opportune.db.models.translated import is_translated
from opportune.errors import OperatorError


@dataclass(frozen=True)
class Backfill:
    """Adds the steps that fill existing rows to the operations on the tables of one feature."""

    feature: str
    metadata: MetaData
    choices: Choices

    def apply(self, table_name: str, parts: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        """Return the steps on a table with steps that fill existing rows.

        Raises:
            OperatorError: Neither the model nor `choices` give a value for existing rows.
        """
        parts = [*parts]
        table = self.metadata.tables.get(table_name)
        if table is None:
            return parts
        steps = _TableSteps(table)
        unique = {name for part in parts for name in _unique_columns(part)}
        for part in parts:
            if isinstance(part, ops.AddColumnOp) and _needs_value(part.column):
                self._add_column(steps, part, is_unique=part.column.name in unique)
            elif isinstance(part, ops.AlterColumnOp) and part.modify_nullable is False:
                self._set_not_null(steps, part)
            elif _unique_columns(part) & steps.fill_code.keys():
                steps.after_filling.append(part)
            else:
                steps.before_filling.append(part)
        return steps.in_order()

    def _add_column(self, steps: "_TableSteps", part: ops.AddColumnOp, *, is_unique: bool) -> None:
        column = part.column
        value = self._fill_value(steps.table, column, by_code=is_unique)
        if value is not None:
            steps.before_filling.append(_add_column_op(part, nullable=False, server_default=value))
            steps.after_filling.append(
                _alter_column_op(part.table_name, column, existing_nullable=False, modify_server_default=None)
            )
            return
        steps.fill_code[column.name] = _code_of_default(column)
        steps.before_filling.append(_add_column_op(part, nullable=True))
        steps.after_filling.append(
            _alter_column_op(part.table_name, column, existing_nullable=True, modify_nullable=False)
        )

    def _set_not_null(self, steps: "_TableSteps", part: ops.AlterColumnOp) -> None:
        column = steps.table.columns[part.column_name]
        value = self._fill_value(steps.table, column, by_code=False)
        if value is None:
            steps.fill_code[column.name] = _code_of_default(column)
        else:
            steps.fill_values[column.name] = value
        steps.after_filling.append(part)

    def _fill_value(self, table: Table, column: Column[Any], *, by_code: bool) -> str | None:
        if column.default is not None and not by_code:
            return _storage_text(column, _value_of_default(column))
        short_table = table.name.removeprefix(f"{self.feature}_")
        text = self.choices.fill_value(table.name, column.name, short_table, by_code=by_code)
        return None if text is None else _storage_text(column, _parse_option(table, column, text))


class _TableSteps:
    """Steps for one table: before its rows are filled, filling them, and afterwards."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.before_filling: list[ops.MigrateOperation] = []
        self.fill_values: dict[str, str] = {}
        """Columns to fill with the same value in all rows."""
        self.fill_code: dict[str, str] = {}
        """Columns to fill with the value of Python code, row by row."""
        self.after_filling: list[ops.MigrateOperation] = []

    def in_order(self) -> list[ops.MigrateOperation]:
        name = self.table.name
        filling: list[ops.MigrateOperation] = []
        for column, value in self.fill_values.items():
            statement = f"UPDATE {quoted(name)} SET {quoted(column)} = {literal(value)} WHERE {quoted(column)} IS NULL"
            filling.append(CodeOp("", f"op.execute({statement!r})"))
        if self.fill_code:
            filling.append(backfill_code(self.table, self.fill_code))
        return [*self.before_filling, NEXT_BATCH, *filling, *self.after_filling]


def backfill_code(table: Table, columns: dict[str, str]) -> CodeOp:
    """Return a loop over the rows, with a place where the owner writes the values."""
    keys = [column.name for column in table.primary_key]
    columns_code = ", ".join(column_code(table.columns[name]) for name in (*keys, *columns))
    conditions = "".join(f".where(rows.c[{name!r}] == row[{name!r}])" for name in keys)
    values = ", ".join(f"{name!r}: {value}" for name, value in columns.items())
    names = " and ".join(columns)
    is_unfilled = " or ".join(f"row[{name!r}] is None" for name in columns)
    select = f"SELECT * FROM {quoted(table.name)}"
    lines = f"""\
# FILL: set {names} of each row. While a value is None, `migrate` fails if the table has rows.
rows = sa.table({table.name!r}, {columns_code})
for row in op.get_bind().execute(sa.text({select!r})).mappings().all():
    if {is_unfilled}:
        op.execute(rows.update(){conditions}.values({{{values}}}))  # FILL
"""
    description = f"Fill {names} of {table.name}: set the value at FILL in the file"
    modules = sorted({f"import {value.split('.')[0]}" for value in columns.values() if "." in value})
    return CodeOp(description, lines, modules)


def _unique_columns(part: ops.MigrateOperation) -> set[str]:
    match part:
        case ops.CreateUniqueConstraintOp():
            return set(part.to_constraint().columns.keys())
        case ops.CreateIndexOp(unique=True):
            return set(part.to_index().columns.keys())
    return set()


def _needs_value(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _add_column_op(operation: ops.AddColumnOp, **options: Any) -> ops.AddColumnOp:
    column = operation.column
    return ops.AddColumnOp(operation.table_name, Column(column.name, column.type, **options))


def _alter_column_op(table: str, column: Column[Any], **options: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(table, column.name, existing_type=column.type, **options)


def _code_of_default(column: Column[Any]) -> str:
    """Return the code of a default from the standard library, such as `uuid.uuid4()`, else `None` as a placeholder."""
    factory = column.default.arg if isinstance(column.default, CallableColumnDefault) else None
    factory = getattr(factory, "__wrapped__", factory)
    module = getattr(factory, "__module__", None)
    name = getattr(factory, "__qualname__", "")
    return f"{module}.{name}()" if module in sys.stdlib_module_names and name.isidentifier() else "None"


def _value_of_default(column: Column[Any]) -> Any:
    match column.default:
        case ScalarElementColumnDefault(arg=value):
            return value
        case CallableColumnDefault(arg=factory):
            return factory(None)  # type: ignore[arg-type]  # a model's default factory takes no context
    raise OperatorError(f"{column.name} has an SQL expression as default. Add a server_default for existing rows.")


def _storage_text(column: Column[Any], value: Any) -> str:
    """Return a value as text that SQLite stores and PostgreSQL accepts."""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    processor = column.type.dialect_impl(sqlite.dialect()).bind_processor(sqlite.dialect())
    stored = processor(value) if processor else value
    if isinstance(stored, Enum):
        stored = stored.value
    return str(stored)


def _parse_option(table: Table, column: Column[Any], text: str) -> Any:
    """Return the text of an option as a value of the column.

    Raises:
        OperatorError: The text is not a valid value.
    """
    try:
        if isinstance(column.type, EnumValue):
            members = {str(member.value): member for member in column.type.enum}
            return members[text]
        if is_translated(column):
            return text
        if isinstance(column.type, JSON):
            return json.loads(text)
        value = TypeAdapter(undecorated(column.type).python_type).validate_strings(text)
    except (KeyError, ValueError):
        raise OperatorError(f"'{text}' is not a valid value of {table.name}.{column.name} ({column.type}).") from None
    if isinstance(value, datetime) and not value.tzinfo:
        return value.replace(tzinfo=UTC)
    return value
