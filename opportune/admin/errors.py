"""Changes that are not made, and why, in words for a person."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Table

from opportune.db import violations
from opportune.errors import FieldErrors


class ValidationRefused(FieldErrors):
    """A change that is not made. The message is for who asked; `fields` are where to show it (none: above the form)."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(dict.fromkeys(fields or [""], message))
        self.fields = fields


@contextmanager
def translate_database_errors(table: Table, *, deleting: bool = False) -> Iterator[None]:
    """Turn what the database refuses into `ValidationRefused`, which holds no SQL."""
    try:
        with violations.translate_database_errors(table, deleting=deleting):
            yield
    except ValidationRefused:
        raise
    except FieldErrors as error:
        raise ValidationRefused(str(error), *filter(None, error.errors)) from error
