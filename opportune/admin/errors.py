"""Refused changes, with messages for the user."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Table

from opportune.db import violations
from opportune.errors import FieldErrors


class ValidationRefused(FieldErrors):
    """A refused change. The message is for the user, shown at `fields` or, without fields, above the form."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(dict.fromkeys(fields or [""], message))
        self.fields = fields


@contextmanager
def translate_database_errors(table: Table, *, deleting: bool = False) -> Iterator[None]:
    """Turn errors of the database into `ValidationRefused`, which contains no SQL."""
    try:
        with violations.translate_database_errors(table, deleting=deleting):
            yield
    except ValidationRefused:
        raise
    except FieldErrors as error:
        raise ValidationRefused(str(error), *filter(None, error.errors)) from error
