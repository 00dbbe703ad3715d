"""Finding rows by the words that somebody types."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, false, or_

MOST_WORDS = 10


def containing(statement: Select[Any], columns: Iterable[Any], text: str) -> Select[Any]:
    """The rows that have every word in some column. Signs such as % stand for themselves."""
    columns = [cast(column, String) for column in columns]
    # NUL is in no stored text, and PostgreSQL refuses to look for it.
    for word in text.replace("\0", " ").split()[:MOST_WORDS]:
        found: list[ColumnElement[bool]] = [column.icontains(word, autoescape=True) for column in columns]
        statement = statement.where(or_(false(), *found))
    return statement
