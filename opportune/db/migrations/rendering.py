"""Migration files with Alembic operations and other Python code."""

import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from alembic.autogenerate import render_python_code, renderers
from alembic.ddl.impl import DefaultImpl
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import template_to_file
from sqlalchemy import ClauseElement, ColumnClause
from sqlalchemy.sql import operators

from opportune.db.migrations.code_operations import insert_code
from opportune.db.migrations.create_statements import escape_parameters
from opportune.db.migrations.portable_sql import PortableDialect
from opportune.db.migrations.type_code import render_item
from opportune.errors import OperatorError
from opportune.project.atomic_files import restored_on_failure
from opportune.project.layout import PROJECT, display_path
from opportune.project.ruff import format_files

TEMPLATE = PROJECT / "migrations" / "script.py.mako"


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
        sql = super().render_ddl_sql_expr(grouped, is_server_default, is_index=is_index, **options)
        return sql if is_index else escape_parameters(sql)  # other SQL than that of an index becomes a `text`


@renderers.dispatch_for(ops.RenameTableOp)
def _rename_table(_context: object, operation: ops.RenameTableOp) -> str:
    return f"op.rename_table({operation.table_name!r}, {operation.new_table_name!r})"


def write_file(
    path: Path,
    upgrade: Sequence[ops.MigrateOperation],
    downgrade: Sequence[ops.MigrateOperation],
    *,
    follows: str | tuple[str, ...] | None,
    depends_on: tuple[str, ...] | None = None,
    revision: str = "",
) -> None:
    """Write the migration file `<feature>/NNNN_title.py` from the template, by default with a new revision.

    Raises:
        OperatorError: The file cannot be written. A half-written one is removed.
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with restored_on_failure([path]):
            template_to_file(TEMPLATE, path, "utf-8", **variables, imports="\n".join(sorted(imports)))
            format_files([path], rules="")
    except OSError as error:
        raise OperatorError(f"{display_path(path)} cannot be written: {error.strerror}.") from error


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
