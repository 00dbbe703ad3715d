"""Check constraints that list the values of a column, such as those of Enums.

Alembic compares check constraints only by name. This module compares the values, and converts PostgreSQL's form of the
condition back to portable SQL.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult
from sqlalchemy import CheckConstraint, ColumnElement, Table, column
from sqlalchemy.engine.default import DefaultDialect

from opportune.db.migrations.naming import flatten

PLUGIN = "opportune.values_of_checks"
BY_NAME = "alembic.ext.checkconstraint_byname"

START = re.compile(r'\(*"?(?P<column>\w+)"?\)*(?:::[\w ]+)?\s*(?:=\s*ANY\b|\bIN\b|=)', re.IGNORECASE)
VALUE = re.compile(
    r"(?P<escaped>E?)'(?P<text>(?:[^']|'')*)'(?P<cast>::(?:character varying|\w+))?|(?P<number>-?\b\d+\b)"
)
SEPARATORS = re.compile(r"(?:ARRAY|::[a-z ]+(?:\(\d+\))?(?:\[\])?|[\s(),\[\]])*")


class AllowedValues(NamedTuple):
    """Condition that a column has one of several values."""

    column: str
    values: tuple[str | int, ...]

    @property
    def condition(self) -> ColumnElement[bool]:
        return column(self.column).in_(self.values)


def parse_allowed_values(condition: Any) -> AllowedValues | None:
    """Return the values that a condition of SQLAlchemy, SQLite or PostgreSQL lists. None for other conditions."""
    if not (text := as_text(condition)) or not (start := START.match(text)):
        return None
    rest = text[start.end() :]
    values = tuple(map(_parse_value, VALUE.finditer(rest)))
    return AllowedValues(start["column"], values) if values and SEPARATORS.fullmatch(VALUE.sub("", rest)) else None


def as_text(condition: Any) -> str:
    if isinstance(condition, str):
        return condition
    options = {"literal_binds": True, "include_table": False}
    return str(condition.compile(dialect=DefaultDialect(), compile_kwargs=options))


def make_portable(operations: Iterable[ops.MigrateOperation]) -> None:
    """Rewrite conditions in place, so that both SQLite and PostgreSQL accept them."""
    for operation in flatten(operations):
        if isinstance(operation, ops.CreateCheckConstraintOp):
            operation.condition = _make_condition_portable(operation.condition)
        for part in operation.columns if isinstance(operation, ops.CreateTableOp) else ():
            if isinstance(part, CheckConstraint):
                part.sqltext = _make_condition_portable(part.sqltext)


def _make_condition_portable(condition: Any) -> Any:
    allowed = parse_allowed_values(condition)
    return allowed.condition if allowed else condition


def _parse_value(match: re.Match[str]) -> str | int:
    if match["number"]:
        return int(match["number"])
    text = match["text"].replace("''", "'")
    if match["cast"] in ("::integer", "::bigint", "::smallint"):  # PostgreSQL quotes negative numbers
        return int(text)
    return text.replace("\\\\", "\\") if match["escaped"] else text


def _compare(
    context: AutogenContext,
    operations: ops.ModifyTableOps,
    _schema: object,
    name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    if reflected is not None and model is not None:
        existing = {check["name"]: check["sqltext"] for check in context.inspector.get_check_constraints(name)}
        for constraint in sorted(model.constraints, key=lambda constraint: str(constraint.name)):
            if isinstance(constraint, CheckConstraint) and constraint.name in existing:
                old = CheckConstraint(existing[constraint.name], name=constraint.name, table=reflected)
                if _have_different_values(parse_allowed_values(old.sqltext), parse_allowed_values(constraint.sqltext)):
                    operations.ops.append(ops.DropConstraintOp.from_constraint(old))
                    operations.ops.append(ops.AddConstraintOp.from_constraint(constraint))
    return PriorityDispatchResult.CONTINUE


def _have_different_values(old_values: AllowedValues | None, new_values: AllowedValues | None) -> bool:
    if old_values is None or new_values is None:
        return False
    return (old_values.column, set(old_values.values)) != (new_values.column, set(new_values.values))


Plugin(PLUGIN).add_autogenerate_comparator(_compare, "table", "values of checks")
