"""Changes that are not made, and why, in words for a person."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.sql.visitors import iterate

NOT_THERE = "What this points at is not there (any more)."
# Each kind of constraint: PostgreSQL's code for it, SQLite's words, and ours.
SENTENCES = (
    ("23505", "UNIQUE", "Another one already has this value."),
    ("23502", "NOT NULL", "Please fill this in."),
    ("23503", "FOREIGN KEY", NOT_THERE),
    ("23514", "CHECK", "The database does not allow this value."),
)
STILL_IN_USE = "Something else still refers to it. Delete that first."
NOT_STORABLE = "The database cannot store one of these values."


class ValidationRefused(Exception):  # noqa: N818 - it is an answer, not an error
    """A change that is not made. The message is for who asked; `fields` are where to show it (none: above the form)."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(message)
        self.fields = fields


@contextmanager
def translate_database_errors(table: Table, *, deleting: bool = False) -> Iterator[None]:
    """Turn what the database refuses into `ValidationRefused`, which holds no SQL."""
    try:
        yield
    except DataError as error:
        raise ValidationRefused(NOT_STORABLE) from error
    except IntegrityError as error:
        raise _explain(error, table, deleting) from error


def _explain(error: IntegrityError, table: Table, deleting: bool) -> ValidationRefused:
    words, code = str(error.orig), getattr(error.orig, "sqlstate", None)
    for sqlstate, kind, sentence in SENTENCES:
        if code == sqlstate or (code is None and words.startswith(kind)):
            if deleting and kind != "CHECK":
                return ValidationRefused(STILL_IN_USE)
            return ValidationRefused(sentence, *_fields(error.orig, words, table))
    return ValidationRefused(NOT_STORABLE)


def _fields(error: Any, words: str, table: Table) -> list[str]:
    """The columns that a message names, by themselves or through their constraint."""
    diagnosis = getattr(error, "diag", None)
    if diagnosis is None:  # SQLite: "... failed: table.one, table.two" or "... failed: index 'name'"
        named = set(re.findall(r"index '(.+?)'|\.(\w+)", words))
        names = {part for pair in named for part in pair if part}
    else:
        names = {diagnosis.column_name, diagnosis.constraint_name}
    keyed: list[Any] = [*table.constraints, *table.indexes]
    columns = [column.name for rule in keyed if rule.name in names for column in _columns_of(rule)]
    return columns or [column.name for column in table.columns if column.name in names]


def _columns_of(rule: Any) -> Iterator[Column[Any]]:
    # An index on lower(email) has an expression, in which the column is somewhere.
    for expression in getattr(rule, "expressions", None) or rule.columns:
        yield from (part for part in iterate(expression) if isinstance(part, Column))
