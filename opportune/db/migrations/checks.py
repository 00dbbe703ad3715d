"""Check constraints that list the values of a column, as those of Enums do.

Alembic compares check constraints by name. Here their values are compared, and what PostgreSQL makes of them becomes
again what both kinds of database read.
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
REST = re.compile(r"(?:ARRAY|::[a-z ]+(?:\(\d+\))?(?:\[\])?|[\s(),\[\]])*")


class AllowedValues(NamedTuple):
    """A check constraint that says: the column is one of these."""

    column: str
    values: tuple[str | int, ...]

    @property
    def condition(self) -> ColumnElement[bool]:
        return column(self.column).in_(self.values)


def parse_allowed_values(condition: Any) -> AllowedValues | None:
    """What a condition lists, whoever has written it: SQLAlchemy, SQLite or PostgreSQL; None if it lists nothing."""
    if not (text := as_text(condition)) or not (start := START.match(text)):
        return None
    rest = text[start.end() :]
    values = tuple(map(_value, VALUE.finditer(rest)))
    return AllowedValues(start["column"], values) if values and REST.fullmatch(VALUE.sub("", rest)) else None


def as_text(condition: Any) -> str:
    if isinstance(condition, str):
        return condition
    options = {"literal_binds": True, "include_table": False}
    return str(condition.compile(dialect=DefaultDialect(), compile_kwargs=options))


def portable(operations: Iterable[ops.MigrateOperation]) -> None:
    """Let what these operations make be made on the other kind of database as well."""
    for operation in flatten(operations):
        if isinstance(operation, ops.CreateCheckConstraintOp):
            operation.condition = _portable(operation.condition)
        for part in operation.columns if isinstance(operation, ops.CreateTableOp) else ():
            if isinstance(part, CheckConstraint):
                part.sqltext = _portable(part.sqltext)


def _portable(condition: Any) -> Any:
    found = parse_allowed_values(condition)
    return found.condition if found else condition


def _value(match: re.Match[str]) -> str | int:
    if match["number"]:
        return int(match["number"])
    text = match["text"].replace("''", "'")
    if match["cast"] in ("::integer", "::bigint", "::smallint"):  # PostgreSQL's way with what is below zero
        return int(text)
    return text.replace("\\\\", "\\") if match["escaped"] else text


def _compare(
    context: AutogenContext,
    operations: ops.ModifyTableOps,
    _schema: object,
    name: str,
    there: Table | None,
    wanted: Table | None,
) -> PriorityDispatchResult:
    if there is not None and wanted is not None:
        present = {found["name"]: found["sqltext"] for found in context.inspector.get_check_constraints(name)}
        for constraint in sorted(wanted.constraints, key=lambda constraint: str(constraint.name)):
            if isinstance(constraint, CheckConstraint) and constraint.name in present:
                old = CheckConstraint(present[constraint.name], name=constraint.name, table=there)
                if _differ(parse_allowed_values(old.sqltext), parse_allowed_values(constraint.sqltext)):
                    operations.ops.append(ops.DropConstraintOp.from_constraint(old))
                    operations.ops.append(ops.AddConstraintOp.from_constraint(constraint))
    return PriorityDispatchResult.CONTINUE


def _differ(one: AllowedValues | None, other: AllowedValues | None) -> bool:
    if one is None or other is None:
        return False
    return (one.column, set(one.values)) != (other.column, set(other.values))


Plugin(PLUGIN).add_autogenerate_comparator(_compare, "table", "values of checks")
