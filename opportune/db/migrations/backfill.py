"""Values for existing rows when a column becomes or is added as NOT NULL."""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from alembic.operations import ops
from pydantic import TypeAdapter
from sqlalchemy import JSON, Column, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from opportune.db.migrations.code_operations import CodeOp, NextBatch
from opportune.db.migrations.portable_sql import execute_code, quote_literal, quote_name
from opportune.db.migrations.questions import Choices
from opportune.db.migrations.type_code import column_code
from opportune.db.models.column_types import EnumValue
from opportune.db.models.columns import unwrap_type
from opportune.db.models.translated import is_translated
from opportune.errors import OperatorError


class Backfill:
    """Steps on one table: before its rows are filled, filling them, and afterwards."""

    def __init__(self, table: Table, feature: str, choices: Choices) -> None:
        self.table = table
        self.feature = feature
        self.choices = choices
        self.before_filling: list[ops.MigrateOperation] = []
        self.fill_values: dict[str, str] = {}
        """Columns to fill with the same value in all rows."""
        self.fill_code: dict[str, str] = {}
        """Columns to fill with the value of Python code, row by row."""
        self.after_filling: list[ops.MigrateOperation] = []

    def apply(self, parts: Iterable[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        """Return the steps on the table with steps that fill existing rows."""
        parts = [*parts]
        unique = {name for part in parts for name in _unique_columns(part)}
        for part in parts:
            if isinstance(part, ops.AddColumnOp) and not part.column.nullable and part.column.server_default is None:
                self._add_column(part.column, is_unique=part.column.name in unique)
            elif isinstance(part, ops.AlterColumnOp) and part.modify_nullable is False:
                self._fill_column(self.table.columns[part.column_name])
                self.after_filling.append(part)
            elif _unique_columns(part) & self.fill_code.keys():
                self.after_filling.append(part)
            else:
                self.before_filling.append(part)
        return [*self.before_filling, NextBatch(), *self._fill_rows(), *self.after_filling]

    def _add_column(self, column: Column[Any], *, is_unique: bool) -> None:
        value = self._choose_value(column, by_code=is_unique)
        options: dict[str, Any]
        changes: dict[str, Any]
        if value is None:
            self.fill_code[column.name] = _code_of_default(column)
            options = {"nullable": True}
            changes = {"existing_nullable": True, "modify_nullable": False}
        else:
            options = {"nullable": False, "server_default": value}
            changes = {"existing_nullable": False, "modify_server_default": None}
        name = self.table.name
        self.before_filling.append(ops.AddColumnOp(name, Column(column.name, column.type, **options)))
        self.after_filling.append(ops.AlterColumnOp(name, column.name, existing_type=column.type, **changes))

    def _fill_column(self, column: Column[Any]) -> None:
        value = self._choose_value(column, by_code=False)
        if value is None:
            self.fill_code[column.name] = _code_of_default(column)
        else:
            self.fill_values[column.name] = value

    def _choose_value(self, column: Column[Any], *, by_code: bool) -> str | None:
        if column.default is not None and not by_code:
            return _storage_text(column, _value_of_default(column))
        name = self.table.name
        text = self.choices.fill_value(name, column.name, name.removeprefix(f"{self.feature}_"), by_code=by_code)
        return None if text is None else _storage_text(column, _parse_option(self.table, column, text))

    def _fill_rows(self) -> Iterator[ops.MigrateOperation]:
        name = quote_name(self.table.name)
        for key, value in self.fill_values.items():
            column = quote_name(key)
            statement = f"UPDATE {name} SET {column} = {quote_literal(value)} WHERE {column} IS NULL"
            yield CodeOp("", execute_code(statement))
        if self.fill_code:
            yield backfill_code(self.table, self.fill_code)


def backfill_code(table: Table, columns: dict[str, str]) -> CodeOp:
    """Return a loop over the rows, with a place where the owner writes the values."""
    keys = [column.name for column in table.primary_key]
    columns_code = ", ".join(column_code(table.columns[name]) for name in (*keys, *columns))
    conditions = "".join(f".where(rows.c[{name!r}] == row[{name!r}])" for name in keys)
    values = ", ".join(f"{name!r}: {value}" for name, value in columns.items())
    names = " and ".join(columns)
    is_unfilled = " or ".join(f"row[{name!r}] is None" for name in columns)
    select = f"SELECT * FROM {quote_name(table.name)}"
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
    """Return the text of an option as a value of the column."""
    try:
        if isinstance(column.type, EnumValue):
            members = {str(member.value): member for member in column.type.enum}
            return members[text]
        if is_translated(column):
            return text
        if isinstance(column.type, JSON):
            return json.loads(text)
        value = TypeAdapter(unwrap_type(column.type).python_type).validate_strings(text)
    except (KeyError, ValueError):
        raise OperatorError(f"'{text}' is not a valid value of {table.name}.{column.name} ({column.type}).") from None
    if isinstance(value, datetime) and not value.tzinfo:
        return value.replace(tzinfo=UTC)
    return value
