"""Comparison of parts of tables that Alembic compares not at all, or not exactly.

- Alembic compares check constraints only by name. Those that list values are compared by their values, others by their
  conditions.
- PostgreSQL cannot compare the server defaults of some types, and `random()` has another value each time.
- Changes of generated columns and identities are refused, because Alembic cannot write them.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import CheckConstraint, Column, Computed, Connection, DefaultClause, Identity, Table
from sqlalchemy.exc import DBAPIError

from opportune.db.migrations.create_statements import (
    escape_parameters,
    identifiers,
    normalize,
    parse_allowed_values,
    sql_of,
)
from opportune.db.migrations.naming import flatten
from opportune.db.migrations.postgresql_indexes import COPY, define_on_copy
from opportune.db.models.native_type import NativeType
from opportune.errors import OperatorError

PLUGIN = "opportune.comparisons"
BY_NAME = "alembic.ext.checkconstraint_byname"
"""Alembic's plugin that compares check constraints by name."""
STORED_DEFAULT = """
    SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'pg_temp.opportune_default'::regclass
"""
CHECKS = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(:table) AND contype = 'c'"
CAST = re.compile(r"::[\w .\[\](,)\"]+$")
COMPUTED_WARNING = re.compile(r"Computed default on (.+) cannot be modified")


def make_portable(operations: Iterable[ops.MigrateOperation]) -> None:
    """Rewrite conditions in place, so that both SQLite and PostgreSQL accept them."""
    for operation in flatten(operations):
        if isinstance(operation, ops.CreateCheckConstraintOp):
            operation.condition = _make_condition_portable(operation.condition)
        elif isinstance(operation, ops.CreateTableOp):
            for part in operation.columns:
                if isinstance(part, CheckConstraint):
                    part.sqltext = _make_condition_portable(part.sqltext)


def _make_condition_portable(condition: Any) -> Any:
    allowed = parse_allowed_values(condition)
    return allowed.condition if allowed else condition


def _compare_checks(
    context: AutogenContext,
    operations: ops.ModifyTableOps,
    _schema: object,
    name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """Replace existing checks whose condition differs from that of the model's check with the same name."""
    if reflected is None or model is None or context.connection is None:
        return PriorityDispatchResult.CONTINUE
    is_postgresql = context.connection.dialect.name == "postgresql"  # the dialect of SQLite escapes parameters itself
    existing = {check["name"]: check["sqltext"] for check in context.inspector.get_check_constraints(name)}
    checks = [constraint for constraint in model.constraints if isinstance(constraint, CheckConstraint)]
    for new in sorted(checks, key=lambda check: str(check.name)):
        if new.name in existing:
            condition = escape_parameters(existing[new.name]) if is_postgresql else existing[new.name]
            old = CheckConstraint(condition, name=new.name, table=reflected)
            if not _is_same_condition(context.connection, old, new):
                operations.ops.append(ops.DropConstraintOp.from_constraint(old))
                operations.ops.append(ops.AddConstraintOp.from_constraint(new))
    return PriorityDispatchResult.CONTINUE


def _is_same_condition(connection: Connection, old: CheckConstraint, new: CheckConstraint) -> bool:
    old_values = parse_allowed_values(old.sqltext)
    new_values = parse_allowed_values(new.sqltext)
    if old_values and new_values:
        return (old_values.column, set(old_values.values)) == (new_values.column, set(new_values.values))
    if connection.dialect.name != "postgresql":
        return normalize(sql_of(old.sqltext)) == normalize(sql_of(new.sqltext))
    table = connection.dialect.identifier_preparer.format_table(old.table)
    try:
        # PostgreSQL stores a condition in another form, such as `((title)::text <> ''::text)`.
        conditions = (sql_of(check.sqltext).replace("%", "%%") for check in (old, new))  # escaped for the driver
        additions = (f"ALTER TABLE {COPY} ADD CHECK ({condition})" for condition in conditions)
        definitions = {define_on_copy(connection, table, sql, CHECKS) for sql in additions}
    except DBAPIError:  # the user may not create temporary tables, or the check uses a new column
        new_columns = {column.name for column in new.table.columns if column.name not in old.table.columns}
        return not new_columns & identifiers(sql_of(new.sqltext))
    return len(definitions) == 1


def _compare_defaults(
    context: AutogenContext,
    operation: ops.AlterColumnOp,
    _schema: object,
    _table: object,
    _name: object,
    existing: Column[object],
    model: Column[object],
) -> PriorityDispatchResult:
    """Find equal defaults by their text in the database. Alembic compares values, which `random()` changes."""
    if context.dialect is None or context.dialect.name != "postgresql":
        return PriorityDispatchResult.CONTINUE
    old = _default_sql(existing)
    new = _default_sql(model)
    if old is None:
        # Reflection omits the default of a column that owns its sequence.
        is_sequence = existing.server_default is None and (new or "").startswith("nextval(")
        return PriorityDispatchResult.STOP if is_sequence else PriorityDispatchResult.CONTINUE
    if new is not None and _is_default(context, model, old):
        return PriorityDispatchResult.STOP
    if new is None or not (isinstance(model.type, NativeType) or model.type.compile(context.dialect) == "JSON"):
        return PriorityDispatchResult.CONTINUE
    operation.existing_server_default = existing.server_default
    operation.modify_server_default = model.server_default
    return PriorityDispatchResult.STOP


def _is_default(context: AutogenContext, column: Column[object], stored: str) -> bool:
    """Return whether PostgreSQL stores the default of a column so. Without a temporary table, their texts count."""
    connection = context.connection
    dialect = context.dialect
    assert connection is not None
    assert dialect is not None
    default = dialect.ddl_compiler(dialect, None).get_column_default_string(column)  # type: ignore[arg-type]  # not used
    if stored == default:
        return True
    with suppress(DBAPIError), connection.begin_nested() as savepoint:
        type_ = column.type.compile(dialect)
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE opportune_default (value {type_} DEFAULT {default})")
        is_equal: bool = connection.exec_driver_sql(STORED_DEFAULT).scalar() == stored
        savepoint.rollback()
        return is_equal
    return CAST.sub("", stored) == CAST.sub("", default or "")


def _default_sql(column: Column[object]) -> str | None:
    return str(column.server_default.arg) if isinstance(column.server_default, DefaultClause) else None


@contextmanager
def refuse_generated_column_changes() -> Iterator[None]:
    """Raise an error instead of Alembic's warning about a column that becomes, was or is computed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=COMPUTED_WARNING.pattern)
        try:
            yield
        except UserWarning as warning:
            if not (match := COMPUTED_WARNING.match(str(warning))):
                raise
            raise _unwritten_change(match[1], "generated column") from None


def refuse_identity_changes(operations: Iterable[ops.MigrateOperation]) -> None:
    """Refuse to write a step for which Alembic omits the previous identity."""
    for step in flatten(operations):
        if isinstance(step, ops.AlterColumnOp) and step.modify_server_default is not False:
            defaults = (step.existing_server_default, step.modify_server_default)
            if any(isinstance(default, Identity) for default in defaults):
                raise _unwritten_change(f"{step.table_name}.{step.column_name}", "identity")


def _unwritten_change(column: str, type_: str) -> OperatorError:
    return OperatorError(
        f"makemigrations does not write the change of {column}, because the {type_} cannot be altered without a "
        "decision about its values. Write it by hand: python3 oppman.py makemigrations FEATURE --empty"
    )


def _compare_generated_columns(
    context: AutogenContext,
    _operation: ops.AlterColumnOp,
    _schema: object,
    table: object,
    name: object,
    existing: Column[object],
    model: Column[object],
) -> PriorityDispatchResult:
    """Compare generated columns of SQLite exactly. Alembic ignores STORED, and upper case in literals."""
    if context.dialect is None or context.dialect.name != "sqlite":
        return PriorityDispatchResult.CONTINUE
    if model.identity is not None:
        return PriorityDispatchResult.STOP  # SQLite has no identities
    if existing.computed is None and model.computed is None:
        return PriorityDispatchResult.CONTINUE
    if _definition(existing.computed) != _definition(model.computed):
        raise _unwritten_change(f"{table}.{name}", "generated column")
    return PriorityDispatchResult.STOP


def _definition(computed: Computed | None) -> object:
    return None if computed is None else (normalize(sql_of(computed.sqltext)), bool(computed.persisted))


plugin = Plugin(PLUGIN)
plugin.add_autogenerate_comparator(_compare_checks, "table", "values of checks")
for _compare in (_compare_defaults, _compare_generated_columns):
    plugin.add_autogenerate_comparator(_compare, "column", "server_default", priority=DispatchPriority.FIRST)
