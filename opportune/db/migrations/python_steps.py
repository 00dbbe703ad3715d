"""Python code in migrations that is not an Alembic operation."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import ops
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeDecorator, TypeEngine

PLACEHOLDER = "# code "
"""Placeholder line for code, because Alembic cannot render it."""


@dataclass
class CodeOp(ops.MigrateOperation):
    """Lines of code for the file of a migration."""

    description: str
    """Line for the terminal, or empty."""
    lines: str
    imports: Sequence[str] = ()
    """Import lines, such as `import uuid`."""


@renderers.dispatch_for(CodeOp)
def _render_placeholder(_context: object, operation: CodeOp) -> str:
    return f"{PLACEHOLDER}{id(operation)}"


@renderers.dispatch_for(ops.RenameTableOp)
def _rename_table(_context: object, operation: ops.RenameTableOp) -> str:
    return f"op.rename_table({operation.table_name!r}, {operation.new_table_name!r})"


def insert_code(text: str, operations: Sequence[ops.MigrateOperation], imports: set[str]) -> str:
    """Replace the placeholders in rendered text by code."""
    for operation in operations:
        if isinstance(operation, CodeOp):
            imports.update(operation.imports)
            text = text.replace(f"    {PLACEHOLDER}{id(operation)}", indent(operation.lines, "    "))
    return text


def column_code(column: Column[Any]) -> str:
    """Return the code of a column for `sa.table`, typed so that both databases accept its values."""
    type_ = plain_type(column)
    is_generic = type(type_).__module__.startswith("sqlalchemy.sql.")
    return f"sa.column({column.name!r}, sa.{type_!r})" if is_generic else f"sa.column({column.name!r})"


def plain_type(column: Column[Any]) -> TypeEngine[Any]:
    """Return the column's type without a TypeDecorator around it."""
    return column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type


def portable_type_code(type_: TypeDecorator[Any], imports: set[str]) -> str:
    """Return the code of a TypeDecorator's type, with PostgreSQL's type if that is JSONB."""
    native = type_.load_dialect_impl(postgresql.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    if not isinstance(native, postgresql.JSONB):
        return f"sa.{type_.impl_instance!r}"
    imports.add("from sqlalchemy.dialects import postgresql")
    return (
        f"sa.{type_.impl_instance!r}.with_variant(postgresql.JSONB(none_as_null={native.none_as_null}), 'postgresql')"
    )


def quoted(name: str) -> str:
    return DefaultDialect().identifier_preparer.quote(name)


def literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
