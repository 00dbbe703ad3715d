"""Database constraint errors as messages for form fields."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import CheckConstraint, Column, Table, select
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.visitors import iterate
from sqlmodel import col

from opportune.db.models.soft_delete import SoftDelete, live_row_options
from opportune.db.sessions.trash import with_deleted
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l

VALUE_IN_USE = _l("This value is already in use.")
VALUES_IN_USE = _l("This combination is already in use.")
ENTRY_MISSING = _l("The selected entry no longer exists.")


class Violation(NamedTuple):
    """A violated constraint, by the error of each database."""

    sqlstate: str
    """Code of PostgreSQL."""
    kind: str
    """Start of SQLite's message."""
    message: str


VIOLATIONS = (
    Violation("23505", "UNIQUE", VALUE_IN_USE),
    Violation("23502", "NOT NULL", _l("Please fill this in.")),
    Violation("23503", "FOREIGN KEY", ENTRY_MISSING),
    Violation("23001", "FOREIGN KEY", ENTRY_MISSING),  # PostgreSQL 18: foreign key with ON DELETE RESTRICT
    Violation("23514", "CHECK", _l("The database does not allow this value.")),
)
LIMIT_EXCEEDED = "54000"
"""PostgreSQL's code for a text that is too long for an index."""
STILL_IN_USE = _l("Something else still refers to it. Delete that first.")
STILL_IN_USE_OR_TRASHED = _l("Something else still refers to it. Delete that first, also from the trash.")
NOT_STORABLE = _l("The database cannot store one of these values.")
HELD_BY_TRASH = _l("A deleted entry has this value. Restore it or delete it permanently in the trash.")


@contextmanager
def translate_database_errors(table: Table, *, deleting: bool = False) -> Iterator[None]:
    """Turn integrity and data errors into `FieldErrors` without SQL.

    Args:
        deleting: Whether rows are deleted, so that a foreign key error means the row is still referenced.
    """
    try:
        yield
    except (DataError, OperationalError) as error:
        if isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) != LIMIT_EXCEEDED:
            raise
        raise FieldErrors({"": NOT_STORABLE}) from error
    except IntegrityError as error:
        raise FieldErrors(_explain(error, table, deleting=deleting)) from error


async def flush_or_refuse(session: AsyncSession, refusal: Exception) -> None:
    """Flush the changes. If a unique value is taken, roll back and raise the refusal."""
    try:
        await session.flush()
    except IntegrityError as error:
        violation = _find_violation(error)
        if violation is None or violation.kind != "UNIQUE":
            raise
        await session.rollback()
        raise refusal from None


async def explain_conflict(
    session: AsyncSession, model: type[Any], error: FieldErrors, values: Mapping[str, Any], row: Mapping[str, Any]
) -> FieldErrors:
    """Return the error with messages for unique values beside the fields that the user can correct.

    Args:
        values: Values that the user has sent, by column.
        row: Other values of the row, such as its team.
    """
    names = {name for name, message in error.errors.items() if message == VALUE_IN_USE}
    if not names:
        return error
    fields = (names & values.keys()) or names
    message = VALUE_IN_USE if len(fields) == 1 else VALUES_IN_USE
    if await _is_in_trash(session, model, names, {**row, **values}):
        message = HELD_BY_TRASH
    others = {name: text for name, text in error.errors.items() if name not in names}
    return FieldErrors({**others, **dict.fromkeys(fields, message)})


async def _is_in_trash(session: AsyncSession, model: type[Any], names: set[str], values: Mapping[str, Any]) -> bool:
    """Return whether a row in the trash holds these values."""
    if not issubclass(model, SoftDelete) or not values.keys() >= names:
        return False
    matches = [getattr(model, name) == values[name] for name in names]
    holder = select(model).where(col(model.deleted_at).is_not(None), *matches).limit(1)
    return await session.scalar(with_deleted(holder)) is not None


def _explain(error: IntegrityError, table: Table, *, deleting: bool) -> dict[str, str]:
    """Return a message for each column that the error names, or one without a column."""
    violation = _find_violation(error)
    if violation is None:
        return {"": NOT_STORABLE}
    if deleting and violation.kind != "CHECK":
        return {"": STILL_IN_USE_OR_TRASHED if live_row_options else STILL_IN_USE}
    return dict.fromkeys(_find_named_columns(error.orig, table) or [""], violation.message)


def _find_violation(error: IntegrityError) -> Violation | None:
    if code := getattr(error.orig, "sqlstate", None):
        return next((violation for violation in VIOLATIONS if violation.sqlstate == code), None)
    return next((violation for violation in VIOLATIONS if str(error.orig).startswith(violation.kind)), None)


def _find_named_columns(error: Any, table: Table) -> list[str]:
    """Return the columns that an error names, directly or through a constraint."""
    diagnostics = getattr(error, "diag", None)
    if diagnostics is None:  # SQLite: "... failed: table.one, table.two" or "... failed: index 'name'"
        matches = re.findall(r"index '(.+?)'|\.(\w+)|failed: (\w+)$", str(error))
        names = {*chain.from_iterable(matches)} - {""}
    else:
        names = {diagnostics.column_name, diagnostics.constraint_name}
    constraints: list[Any] = [*table.constraints, *table.indexes]
    named = [constraint for constraint in constraints if constraint.name in names]
    columns = [column.name for constraint in named for column in _columns_of_constraint(constraint, table)]
    return columns or [column.name for column in table.columns if column.name in names]


def _columns_of_constraint(constraint: Any, table: Table) -> Iterator[Column[Any]]:
    if isinstance(constraint, CheckConstraint) and not constraint.columns:  # a constraint of plain SQL text
        words = set(re.findall(r"\w+", str(constraint.sqltext)))
        yield from (column for column in table.columns if column.name in words)
        return
    # The column may be inside an expression, such as lower(email).
    for expression in getattr(constraint, "expressions", None) or constraint.columns:
        yield from (element for element in iterate(expression) if isinstance(element, Column))
