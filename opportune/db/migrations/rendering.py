"""Migration files with Alembic operations and other Python code."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import Any, Literal

from alembic.autogenerate import render_python_code, renderers
from alembic.ddl.impl import DefaultImpl
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import template_to_file
from sqlalchemy import ClauseElement, Column, ColumnClause
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import operators
from sqlalchemy.types import TypeDecorator

from opportune.db.migrations.portable_sql import PortableDialect
from opportune.db.models.columns import undecorated
from opportune.project.layout import PROJECT
from opportune.project.ruff import format_files

TEMPLATE = PROJECT / "migrations" / "script.py.mako"
PLACEHOLDER = "# code "
"""Beginning of a line in place of code, because Alembic's printer changes the indentation of code."""


class PortableImpl(DefaultImpl):
    """Alembic's part of the dialect, registered by `__dialect__`."""

    __dialect__ = PortableDialect.name

    def render_ddl_sql_expr(
        self, expr: ClauseElement, is_server_default: bool = False, is_index: bool = False, **options: Any
    ) -> str:
        """Return the SQL of an expression. PostgreSQL needs operators of an index in parentheses."""
        is_collated = getattr(expr, "operator", None) is operators.collate
        is_alone = isinstance(expr, ColumnClause) or is_collated
        grouped = expr.self_group() if is_index and not is_alone else expr
        return super().render_ddl_sql_expr(grouped, is_server_default, is_index=is_index, **options)


@dataclass
class CodeOp(ops.MigrateOperation):
    """Lines of code for the file of a migration."""

    description: str
    """Line for the terminal, or empty."""
    lines: str
    imports: Sequence[str] = ()
    """Import lines, such as `import uuid`."""


NEXT_BATCH = CodeOp("", "")
"""Separates steps on a table that SQLite must not run in one copy."""


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


def separate_code(operations: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Return the operations with lines of code between the batches of a table, not within one."""
    steps: list[ops.MigrateOperation] = []
    for operation in operations:
        if not isinstance(operation, ops.ModifyTableOps):
            steps.append(operation)
            continue
        for is_code, group in groupby(operation.ops, key=lambda part: isinstance(part, CodeOp)):
            parts = [part for part in group if part is not NEXT_BATCH]
            steps += parts if is_code else [ops.ModifyTableOps(operation.table_name, parts)]
    return steps


def column_code(column: Column[Any]) -> str:
    """Return the code of a column for `sa.table`, typed so that both databases accept its values."""
    type_ = undecorated(column.type)
    is_generic = type(type_).__module__.startswith("sqlalchemy.sql.")
    return f"sa.column({column.name!r}, sa.{type_!r})" if is_generic else f"sa.column({column.name!r})"


def portable_type_code(type_: TypeDecorator[Any], imports: set[str]) -> str:
    """Return the code of a TypeDecorator's type, with PostgreSQL's type if that is JSONB."""
    native = type_.load_dialect_impl(postgresql.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    if not isinstance(native, postgresql.JSONB):
        return f"sa.{type_.impl_instance!r}"
    imports.add("from sqlalchemy.dialects import postgresql")
    return (
        f"sa.{type_.impl_instance!r}.with_variant(postgresql.JSONB(none_as_null={native.none_as_null}), 'postgresql')"
    )


def write_file(
    path: Path,
    upgrade: Sequence[ops.MigrateOperation],
    downgrade: Sequence[ops.MigrateOperation],
    *,
    follows: str | tuple[str, ...] | None,
    depends_on: tuple[str, ...] | None = None,
    revision: str = "",
) -> None:
    """Write a migration file from the template.

    Args:
        path: File `<feature>/NNNN_title.py`.
        upgrade: Operations of `upgrade()`.
        downgrade: Operations of `downgrade()`.
        follows: Previous revisions of the feature, or None for its first migration.
        depends_on: Revisions of other features that must be applied first.
        revision: Revision of the migration. By default a new one.
    """
    feature = path.parent.name
    number, _, title = path.stem.partition("_")
    imports: set[str] = set()
    variables: dict[str, Any] = {
        "message": f"{feature}: {title.replace('_', ' ')}",
        "up_revision": revision or f"{feature}_{number}_{secrets.token_hex(2)}",
        "down_revision": follows,
        "branch_labels": None if follows else (feature,),
        "depends_on": depends_on,
        "upgrades": _render(ops.UpgradeOps(upgrade), imports),
        "downgrades": _render(ops.DowngradeOps(downgrade), imports),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    template_to_file(TEMPLATE, path, "utf-8", **variables, imports="\n".join(sorted(imports)))
    format_files([path], rules="")


def render_code(operations: Sequence[ops.MigrateOperation]) -> str:
    """Return the Python code of operations without imports."""
    return _render(ops.UpgradeOps(operations), set())


def _render(operations: ops.UpgradeOps | ops.DowngradeOps, imports: set[str]) -> str:
    code = render_python_code(
        operations,
        render_as_batch=True,
        render_item=partial(render_item, imports),
        migration_context=MigrationContext.configure(dialect=PortableDialect()),
    )
    lines = [line for line in code.splitlines() if not line.strip().startswith("# ###")]
    text = "\n".join(lines).replace(", schema=None)", ")")  # Alembic adds this default to each batch
    return insert_code(text, operations.ops, imports).strip()


def render_item(imports: set[str], item_type: str, item: Any, context: Any) -> str | Literal[False]:
    """Render types of SQLModel and Opportune as SQLAlchemy types, so that old migrations work. Import other types."""
    if item_type != "type":
        return False
    package, *rest = type(item).__module__.split(".")
    if package in ("opportune", "sqlmodel") and isinstance(item, TypeDecorator):
        return portable_type_code(item, imports)
    if package != "sqlalchemy":
        imports.add(f"import {type(item).__module__}")
    elif rest[0] == "dialects":
        imports.add(f"from sqlalchemy.dialects import {rest[1]}")
        if rest[1] == "postgresql":
            return _postgresql_type_code(item, context)
    return False


def _postgresql_type_code(type_: Any, context: Any) -> str | Literal[False]:
    """Return the code of an array or of JSON with the types that it contains; False for other types."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    code = MigrationContext.configure(dialect=dialect).impl.render_type(type_, context)
    # Otherwise the type of an enum array would not be created.
    return code.replace(", _create_events=False", "") if code else False
