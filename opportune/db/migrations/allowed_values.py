"""Conditions of check constraints that list the values of a column, such as those of Enums.

SQLAlchemy, SQLite and PostgreSQL write them in different forms, such as `status IN ('new', 'done')` and
`((status)::text = ANY (ARRAY['new'::text, 'done'::text]))`.
"""

import re
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, column
from sqlalchemy.engine.default import DefaultDialect

COLUMN = re.compile(r'\(*"?(?P<column>\w+)"?\)*(?:::[\w ]+)?\s*(?:=\s*ANY\b|\bIN\b|=)', re.IGNORECASE)
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
    sql = sql_of(condition)
    start = COLUMN.match(sql)
    if start is None:
        return None
    listed = sql[start.end() :]
    values = tuple(map(_parse_value, VALUE.finditer(listed)))
    is_list = SEPARATORS.fullmatch(VALUE.sub("", listed))
    return AllowedValues(start["column"], values) if values and is_list else None


def sql_of(expression: Any) -> str:
    """Return the SQL of an expression with its values, without the names of tables."""
    if isinstance(expression, str):
        return expression
    options = {"literal_binds": True, "include_table": False}
    return str(expression.compile(dialect=DefaultDialect(), compile_kwargs=options))


def _parse_value(match: re.Match[str]) -> str | int:
    if match["number"]:
        return int(match["number"])
    text = match["text"].replace("''", "'")
    if match["cast"] in ("::integer", "::bigint", "::smallint"):  # PostgreSQL quotes negative numbers
        return int(text)
    return text.replace("\\\\", "\\") if match["escaped"] else text
