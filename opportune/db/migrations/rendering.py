"""The text of a migration."""

import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import template_to_file
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeDecorator

from opportune.config.project import PROJECT
from opportune.db.migrations.python_steps import put_in

TEMPLATE = PROJECT / "migrations" / "script.py.mako"


def write_file(
    path: Path, upgrade: Sequence[ops.MigrateOperation], downgrade: Sequence[ops.MigrateOperation], **names: Any
) -> None:
    """Fill the template. `names` are its other variables."""
    imports: set[str] = set()
    code: dict[str, Any] = {
        "upgrades": _code(ops.UpgradeOps(upgrade), imports),
        "downgrades": _code(ops.DowngradeOps(downgrade), imports),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    template_to_file(TEMPLATE, path, "utf-8", **code, imports="\n".join(sorted(imports)), **names)
    _format(path)


def code_of(operations: Sequence[ops.MigrateOperation]) -> str:
    """The lines that do these operations on tables, without their imports."""
    return _code(ops.UpgradeOps(operations), set())


def _code(operations: ops.UpgradeOps | ops.DowngradeOps, imports: set[str]) -> str:
    code = render_python_code(
        operations,
        render_as_batch=True,
        render_item=partial(_render_item, imports),
        migration_context=MigrationContext.configure(dialect=DefaultDialect()),
    )
    lines = [line for line in code.splitlines() if not line.strip().startswith("# ###")]
    return put_in("\n".join(lines).replace(", schema=None)", ")"), operations.ops, imports).strip()


def _render_item(imports: set[str], kind: str, item: Any, context: Any) -> str | Literal[False]:
    """SQLModel's types and ours become SQLAlchemy's, so that old migrations survive changes; others are imported."""
    if kind != "type":
        return False
    package, *rest = type(item).__module__.split(".")
    if package in ("opportune", "sqlmodel") and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    if package != "sqlalchemy":
        imports.add(f"import {type(item).__module__}")
    elif rest[0] == "dialects":
        imports.add(f"from sqlalchemy.dialects import {rest[1]}")
        if rest[1] == "postgresql":  # whose arrays and JSON hold other types
            dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
            rendered = MigrationContext.configure(dialect=dialect).impl.render_type(item, context)
            # With it, no type would be created for an array of an enum.
            return rendered.replace(", _create_events=False", "") if rendered else rendered
    return False


def _format(path: Path) -> None:
    """Format it as the project's own files are, where the tools for development are installed."""
    if ruff := shutil.which("ruff", path=sysconfig.get_path("scripts")):
        subprocess.run([ruff, "format", "--quiet", str(path)], check=True)
