"""Refusal of changes that Alembic cannot write: of generated columns and identities."""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, Computed, Identity

from opportune.db.migrations.checks import as_text
from opportune.db.migrations.create_statements import normalize
from opportune.db.migrations.naming import flatten
from opportune.errors import OperatorError

PLUGIN = "opportune.generated_columns"
WARNING = re.compile(r"Computed default on (.+) cannot be modified")


@contextmanager
def refuse_changes_of_generated_columns() -> Iterator[None]:
    """Raise an error instead of Alembic's warning about a column that becomes, was or is computed.

    Raises:
        OperatorError: The models change such a column.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=WARNING.pattern)
        try:
            yield
        except UserWarning as warning:
            if not (match := WARNING.match(str(warning))):
                raise
            raise _error(match[1], "generated column") from None


def refuse_changes_of_identities(operations: Iterable[ops.MigrateOperation]) -> None:
    """Refuse to write a step for which Alembic omits the previous identity.

    Raises:
        OperatorError: A column gets, loses or changes its identity.
    """
    for step in flatten(operations):
        if isinstance(step, ops.AlterColumnOp) and step.modify_server_default is not False:
            defaults = (step.existing_server_default, step.modify_server_default)
            if any(isinstance(default, Identity) for default in defaults):
                raise _error(f"{step.table_name}.{step.column_name}", "identity")


def _error(column: str, type_: str) -> OperatorError:
    return OperatorError(
        f"makemigrations does not write the change of {column}, because the {type_} cannot be altered without a "
        "decision about its values. Write it by hand: python3 oppman.py makemigrations FEATURE --empty"
    )


def _compare(
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
        raise _error(f"{table}.{name}", "generated column")
    return PriorityDispatchResult.STOP


def _definition(computed: Computed | None) -> object:
    return computed and (normalize(as_text(computed.sqltext)), bool(computed.persisted))


Plugin(PLUGIN).add_autogenerate_comparator(_compare, "column", "server_default", priority=DispatchPriority.FIRST)
