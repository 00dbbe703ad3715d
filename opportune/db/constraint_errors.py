"""Messages for values that the database refuses."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import CheckConstraint, Column, Table
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.sql.visitors import iterate

from opportune.errors import FieldErrors

NOT_THERE = "The selected entry no longer exists."
# Each kind of constraint: PostgreSQL's code for it, SQLite's words, and ours.
SENTENCES = (
    ("23505", "UNIQUE", "This value is already in use."),
    ("23502", "NOT NULL", "Please fill this in."),
    ("23503", "FOREIGN KEY", NOT_THERE),
    ("23001", "FOREIGN KEY", NOT_THERE),  # what PostgreSQL 18 calls it where the key says RESTRICT
    ("23514", "CHECK", "The database does not allow this value."),
)
STILL_IN_USE = "Something else still refers to it. Delete that first."
NOT_STORABLE = "The database cannot store one of these values."


@contextmanager
def translate_database_errors(table: Table, *, deleting: bool = False) -> Iterator[None]:
    """Turn what the database refuses into `FieldErrors`, which hold no SQL."""
    try:
        yield
    except DataError as error:
        raise FieldErrors({"": NOT_STORABLE}) from error
    except IntegrityError as error:
        raise FieldErrors(_explain(error, table, deleting)) from error


def _explain(error: IntegrityError, table: Table, deleting: bool) -> dict[str, str]:
    words, code = str(error.orig), getattr(error.orig, "sqlstate", None)
    for sqlstate, kind, sentence in SENTENCES:
        if code == sqlstate or (code is None and words.startswith(kind)):
            if deleting and kind != "CHECK":
                return {"": STILL_IN_USE}
            return dict.fromkeys(_fields(error.orig, words, table) or [""], sentence)
    return {"": NOT_STORABLE}


def _fields(error: Any, words: str, table: Table) -> list[str]:
    """The columns that a message names, by themselves or through their constraint."""
    diagnosis = getattr(error, "diag", None)
    if diagnosis is None:  # SQLite: "... failed: table.one, table.two" or "... failed: index 'name'"
        named = set(re.findall(r"index '(.+?)'|\.(\w+)|failed: (\w+)$", words))
        names = {part for parts in named for part in parts if part}
    else:
        names = {diagnosis.column_name, diagnosis.constraint_name}
    keyed: list[Any] = [*table.constraints, *table.indexes]
    columns = [column.name for rule in keyed if rule.name in names for column in _columns_of(rule, table)]
    return columns or [column.name for column in table.columns if column.name in names]


def _columns_of(rule: Any, table: Table) -> Iterator[Column[Any]]:
    if isinstance(rule, CheckConstraint) and not rule.columns:  # of a text, or of columns by their names alone
        told = set(re.findall(r"\w+", str(rule.sqltext)))
        yield from (column for column in table.columns if column.name in told)
        return
    # An index on lower(email) has an expression, in which the column is somewhere.
    for expression in getattr(rule, "expressions", None) or rule.columns:
        yield from (part for part in iterate(expression) if isinstance(part, Column))
