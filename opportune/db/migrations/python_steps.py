"""Lines of Python in a migration that are no operation of Alembic's."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import ops
from sqlalchemy import Column
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeDecorator, TypeEngine

PLACE = "# code "
"""Alembic's printer knows no loops: such a line stands for them until all is printed."""


@dataclass
class CodeOp(ops.MigrateOperation):
    """Lines as they are to stand in the file."""

    words: str
    """For the terminal; empty where there is nothing to tell."""
    lines: str
    imports: Sequence[str] = ()
    """Lines for the head of the file, such as `import uuid`."""


@renderers.dispatch_for(CodeOp)
def _mark_place(_context: object, operation: CodeOp) -> str:
    return f"{PLACE}{id(operation)}"


@renderers.dispatch_for(ops.RenameTableOp)
def _rename_table(_context: object, operation: ops.RenameTableOp) -> str:
    return f"op.rename_table({operation.table_name!r}, {operation.new_table_name!r})"


def put_in(text: str, operations: Sequence[ops.MigrateOperation], imports: set[str]) -> str:
    """What Alembic has printed, with the code in its places."""
    for operation in operations:
        if isinstance(operation, CodeOp):
            imports.update(operation.imports)
            text = text.replace(f"    {PLACE}{id(operation)}", indent(operation.lines, "    "))
    return text


def column_code(column: Column[Any]) -> str:
    """A column for `sa.table`, which knows how to send a value to both kinds of database."""
    kind = plain_type(column)
    is_known = type(kind).__module__.startswith("sqlalchemy.sql.")
    return f"sa.column({column.name!r}, sa.{kind!r})" if is_known else f"sa.column({column.name!r})"


def plain_type(column: Column[Any]) -> TypeEngine[Any]:
    """The column's type without SQLModel's or our own wrapping."""
    return column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type


def quoted(name: str) -> str:
    return DefaultDialect().identifier_preparer.quote(name)


def literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
