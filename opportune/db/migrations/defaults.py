"""Comparison of server defaults whose types PostgreSQL cannot compare."""

import re

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, DefaultClause

from opportune.db.models.native_type import NativeType

PLUGIN = "opportune.defaults"
CAST = re.compile(r"(?<=')::[\w\" .]+$")


def _compare(
    context: AutogenContext,
    operation: ops.AlterColumnOp,
    _schema: object,
    _table: object,
    _name: object,
    existing: Column[object],
    model: Column[object],
) -> PriorityDispatchResult:
    """Compare defaults of sequences and of types without an equality operator. Alembic compares the others."""
    if context.dialect is None or context.dialect.name != "postgresql":
        return PriorityDispatchResult.CONTINUE
    old, new = _default_sql(existing), _default_sql(model)
    if old is None:
        # Reflection omits the default of a column that owns its sequence.
        is_sequence = existing.server_default is None and (new or "").startswith("nextval(")
        return PriorityDispatchResult.STOP if is_sequence else PriorityDispatchResult.CONTINUE
    is_comparable = not isinstance(model.type, NativeType) and model.type.compile(context.dialect) != "JSON"
    if new is None or is_comparable:
        return PriorityDispatchResult.CONTINUE
    if CAST.sub("", old) != CAST.sub("", new):
        operation.existing_server_default = existing.server_default
        operation.modify_server_default = model.server_default
    return PriorityDispatchResult.STOP


def _default_sql(column: Column[object]) -> str | None:
    """Return the SQL of a server default, or None."""
    return str(column.server_default.arg) if isinstance(column.server_default, DefaultClause) else None


Plugin(PLUGIN).add_autogenerate_comparator(_compare, "column", "server_default", priority=DispatchPriority.FIRST)
