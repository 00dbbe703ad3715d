"""Rows that are already there: what they get when a column is added or changed that may not be empty."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from alembic.operations import ops
from pydantic import TypeAdapter
from sqlalchemy import JSON, Column, MetaData, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from opportune.db.migrations.python_steps import CodeOp, column_code, literal, plain_type, quoted
from opportune.db.migrations.questions import Answers
from opportune.db.models.enums import EnumValue
from opportune.errors import OperatorError


@dataclass(frozen=True)
class Backfill:
    """Puts values into the columns of one feature's tables."""

    feature: str
    metadata: MetaData
    answers: Answers

    def applied(self, operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        """The operations with what existing rows need between them.

        Raises:
            OperatorError: nobody says what it is.
        """
        return [part for operation in operations for part in self._parts(operation)]

    def _parts(self, operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
        table = self.metadata.tables.get(str(getattr(operation, "table_name", "")))
        if table is None or not isinstance(operation, ops.ModifyTableOps):
            yield operation
            return
        steps = _Steps(table)
        own = _columns_of_unique(operation.ops)
        for part in operation.ops:
            if isinstance(part, ops.AddColumnOp) and _leaves_rows_empty(part.column):
                self._add(steps, part, is_unique=part.column.name in own)
            elif isinstance(part, ops.AlterColumnOp) and part.modify_nullable is False:
                self._forbid_empty(steps, part)
            elif _makes_unique(part) & steps.by_code.keys():
                steps.after.append(part)
            else:
                steps.before.append(part)
        yield from steps.operations

    def _add(self, steps: "_Steps", part: ops.AddColumnOp, *, is_unique: bool) -> None:
        column = part.column
        value = self._value(steps.table, column, by_code=is_unique)
        if value is not None:
            steps.before.append(_added(part, nullable=False, server_default=value))
            steps.after.append(_altered(part.table_name, column, existing_nullable=False, modify_server_default=None))
            return
        steps.by_code[column.name] = _made_by_default(column)
        steps.before.append(_added(part, nullable=True))
        steps.after.append(_altered(part.table_name, column, existing_nullable=True, modify_nullable=False))

    def _forbid_empty(self, steps: "_Steps", part: ops.AlterColumnOp) -> None:
        column = steps.table.columns[part.column_name]
        value = self._value(steps.table, column, by_code=False)
        if value is None:
            steps.by_code[column.name] = _made_by_default(column)
        else:
            steps.by_value[column.name] = value
        steps.after.append(part)

    def _value(self, table: Table, column: Column[Any], *, by_code: bool) -> str | None:
        if column.default is not None and not by_code:
            return _stored(column, _default(column))
        short = table.name.removeprefix(f"{self.feature}_")
        given = self.answers.value(table.name, column.name, short, by_code=by_code)
        return None if given is None else _stored(column, _read(table, column, given))


class _Steps:
    """What happens to one table: what can be done before its rows are filled, filling them, and the rest."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.before: list[ops.MigrateOperation] = []
        self.by_value: dict[str, str] = {}
        self.by_code: dict[str, str] = {}
        self.after: list[ops.MigrateOperation] = []

    @property
    def operations(self) -> Iterator[ops.MigrateOperation]:
        name = self.table.name
        if self.before:
            yield ops.ModifyTableOps(name, self.before)
        for column, value in self.by_value.items():
            statement = f"UPDATE {name} SET {quoted(column)} = {literal(value)} WHERE {quoted(column)} IS NULL"
            yield CodeOp("", f"op.execute({statement!r})")
        if self.by_code:
            yield backfill_code(self.table, self.by_code)
        if self.after:
            yield ops.ModifyTableOps(name, self.after)


def backfill_code(table: Table, columns: dict[str, str]) -> CodeOp:
    """A loop over the rows, with a place where the owner says what each of them gets."""
    keys = [column.name for column in table.primary_key]
    known = ", ".join(column_code(table.columns[name]) for name in (*keys, *columns))
    where = "".join(f".where(rows.c[{name!r}] == row[{name!r}])" for name in keys)
    values = ", ".join(f"{name!r}: {value}" for name, value in columns.items())
    names = " and ".join(columns)
    empty = " or ".join(f"row[{name!r}] is None" for name in columns)
    lines = f"""\
# FILL: say what the {names} of each row is to be. While it says None, a table that has rows is left as it is.
rows = sa.table({table.name!r}, {known})
for row in op.get_bind().execute(sa.text("SELECT * FROM {table.name}")).mappings().all():
    if {empty}:
        op.execute(rows.update(){where}.values({{{values}}}))  # FILL
"""
    words = f"Fill {names} of {table.name}: see FILL in the file, which says with what"
    modules = sorted({f"import {value.split('.')[0]}" for value in columns.values() if "." in value})
    return CodeOp(words, lines, modules)


def _columns_of_unique(parts: Sequence[ops.MigrateOperation]) -> set[str]:
    return {name for part in parts for name in _makes_unique(part)}


def _makes_unique(part: ops.MigrateOperation) -> set[str]:
    match part:
        case ops.CreateUniqueConstraintOp():
            return set(part.to_constraint().columns.keys())
        case ops.CreateIndexOp(unique=True):
            return set(part.to_index().columns.keys())
    return set()


def _leaves_rows_empty(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _added(operation: ops.AddColumnOp, **options: Any) -> ops.AddColumnOp:
    column = operation.column
    return ops.AddColumnOp(operation.table_name, Column(column.name, column.type, **options))


def _altered(table: str, column: Column[Any], **options: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(table, column.name, existing_type=column.type, **options)


def _made_by_default(column: Column[Any]) -> str:
    """The code of a default such as `uuid.uuid4`, which any migration can call; of others, a place."""
    make = column.default.arg if isinstance(column.default, CallableColumnDefault) else None
    make = getattr(make, "__wrapped__", make)
    module, name = getattr(make, "__module__", None), getattr(make, "__qualname__", "")
    return f"{module}.{name}()" if module in sys.stdlib_module_names and name.isidentifier() else "None"


def _default(column: Column[Any]) -> Any:
    match column.default:
        case ScalarElementColumnDefault(arg=value):
            return value
        case CallableColumnDefault(arg=make):
            return make(None)  # type: ignore[arg-type]  # a model's default factory takes no context
    raise OperatorError(f"{column.name} has a default in SQL: give it a server_default as well, for existing rows.")


def _stored(column: Column[Any], value: Any) -> str:
    """A value as SQLite keeps it, which PostgreSQL reads as well."""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    processor = column.type.dialect_impl(sqlite.dialect()).bind_processor(sqlite.dialect())
    stored = processor(value) if processor else value
    return str(stored.value if isinstance(stored, Enum) else stored)


def _read(table: Table, column: Column[Any], text: str) -> Any:
    """What somebody has typed, as a value of the column.

    Raises:
        OperatorError: it is none.
    """
    try:
        if isinstance(column.type, EnumValue):
            return {str(member.value): member for member in column.type.kind}[text]
        if isinstance(column.type, JSON):
            return json.loads(text)
        value = TypeAdapter(plain_type(column).python_type).validate_strings(text)
    except (KeyError, ValueError):
        raise OperatorError(f"'{text}' is no value for {table.name}.{column.name} ({column.type}).") from None
    return value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else value
