"""Values for the rows that are already there when a column is added that may not be empty."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from alembic.operations import ops
from sqlalchemy import Column
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from app.core.errors import OperatorError


def backfilled(operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """The operations with such columns given their model's default in the database, and then deprived of it.

    Raises:
        OperatorError: a column has no default and may not be empty.
    """
    result: list[ops.MigrateOperation] = []
    for operation in operations:
        result.append(operation)
        if isinstance(operation, ops.ModifyTableOps):
            result[-1], after = _split(operation)
            result += after
    return result


def _split(operation: ops.ModifyTableOps) -> tuple[ops.ModifyTableOps, list[ops.ModifyTableOps]]:
    parts: list[ops.MigrateOperation] = []
    cleared: list[ops.MigrateOperation] = []
    for part in operation.ops:
        if isinstance(part, ops.AddColumnOp) and _leaves_rows_empty(part.column):
            parts.append(_with_default(part))
            cleared.append(_without_default(part))
        else:
            parts.append(part)
    table = operation.table_name
    return ops.ModifyTableOps(table, parts), [ops.ModifyTableOps(table, cleared)] if cleared else []


def _leaves_rows_empty(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _with_default(operation: ops.AddColumnOp) -> ops.AddColumnOp:
    column = operation.column
    value = _stored(column, operation.table_name)
    return ops.AddColumnOp(operation.table_name, Column(column.name, column.type, nullable=False, server_default=value))


def _without_default(operation: ops.AddColumnOp) -> ops.AlterColumnOp:
    column = operation.column
    return ops.AlterColumnOp(
        operation.table_name,
        column.name,
        existing_type=column.type,
        existing_nullable=False,
        modify_server_default=None,
    )


def _stored(column: Column[Any], table: str) -> str:
    """The default as SQLite keeps it, which PostgreSQL reads as well."""
    match column.default:
        case ScalarElementColumnDefault(arg=value):
            pass
        case CallableColumnDefault(arg=make):
            value = make(None)  # type: ignore[arg-type]  # a model's default factory takes no context
        case _:
            raise OperatorError(
                f"{table}.{column.name} may not be empty and has no default, so existing rows would have no value. "
                "Give the field a default, or let it be None."
            )
    if isinstance(value, datetime):
        return value.isoformat(" ")
    processor = column.type.dialect_impl(sqlite.dialect()).bind_processor(sqlite.dialect())
    return str(processor(value) if processor else value.value if isinstance(value, Enum) else value)
