"""Search for duplicate values before a migration adds a unique constraint or index.

The error of the database names at most one value, and after it PostgreSQL runs no query in the transaction.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ColumnElement, Connection, Index, UniqueConstraint
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable

from opportune.db.listeners import listening
from opportune.db.models.sensitive_names import value_for_message
from opportune.errors import OperatorError

MAX_DUPLICATES_SHOWN = 5
TABLE_COPY = "_alembic_tmp_"
"""Prefix of the copy of a table with which Alembic alters it on SQLite."""
MARK = "/* duplicates */"
"""Comment that marks queries of this module, so that sqlmigrate can ignore them."""
SORT_ORDER = re.compile(r"(\s+(ASC|DESC|NULLS\s+FIRST|NULLS\s+LAST))+$", re.IGNORECASE)

UniqueRule = UniqueConstraint | Index


class DuplicatesError(OperatorError):
    """Rows have equal values in columns that become unique."""


@contextmanager
def refuse_duplicates(connection: Connection) -> Iterator[None]:
    """Check for duplicates before each statement of the block that adds a unique constraint or index."""

    def check(_connection: object, statement: object, *_rest: object) -> None:
        for rule in _unique_rules(statement):
            _check_rows(connection, rule)

    with listening(connection, before_execute=check):
        yield


def _unique_rules(statement: object) -> Sequence[UniqueRule]:
    match statement:
        case CreateIndex(element=Index(unique=True) as index):
            return [index]
        case AddConstraint(element=UniqueConstraint() as constraint):
            return [constraint]
        case CreateTable(element=new) if new.name.startswith(TABLE_COPY):
            return [rule for rule in new.constraints if isinstance(rule, UniqueConstraint)]
    return []


def _check_rows(connection: Connection, rule: UniqueRule) -> None:
    parts = rule.expressions if isinstance(rule, Index) else rule.columns
    columns = [_without_table(part) for part in parts]
    duplicates: Sequence[Sequence[Any]] = []
    # A column may not exist before its table is copied. Then the database reports the duplicates.
    with suppress(DBAPIError), _savepoint(connection):
        duplicates = connection.execute(_duplicates_query(rule, columns, connection.dialect.name)).all()
    if duplicates:
        raise DuplicatesError(_describe(_table_name(rule), [str(part) for part in columns], duplicates))


def _savepoint(connection: Connection) -> AbstractContextManager[Any]:
    is_autocommit = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    return nullcontext() if is_autocommit else connection.begin_nested()


def _without_table(part: Any) -> ColumnElement[Any]:
    """Return a column or expression of an index for another query, without table name and sort order."""
    if isinstance(part, Column):
        return sa.column(part.name, part.type)
    return sa.literal_column(SORT_ORDER.sub("", str(part)))


def _table_name(rule: UniqueRule) -> str:
    return rule.table.name.removeprefix(TABLE_COPY) if rule.table is not None else ""


def _duplicates_query(rule: UniqueRule, columns: Sequence[ColumnElement[Any]], dialect: str) -> sa.Select[Any]:
    options = rule.dialect_options[dialect]
    count = sa.func.count()
    schema = rule.table.schema if rule.table is not None else None
    query = sa.select(*columns, count).prefix_with(MARK).select_from(sa.table(_table_name(rule), schema=schema))
    if not options.get("nulls_not_distinct"):
        query = query.where(*(part.is_not(None) for part in columns))
    if (condition := options.get("where")) is not None:
        query = query.where(condition)
    grouped = query.group_by(*columns).having(count > 1)
    return grouped.order_by(count.desc(), *columns).limit(MAX_DUPLICATES_SHOWN + 1)


def _describe(table_name: str, names: Sequence[str], duplicates: Sequence[Sequence[Any]]) -> str:
    location = f"{table_name}.{names[0]}" if len(names) == 1 else f"{table_name} ({', '.join(names)})"
    values = ", ".join(_describe_value(names, *duplicate) for duplicate in duplicates[:MAX_DUPLICATES_SHOWN])
    more = " and more" if len(duplicates) > MAX_DUPLICATES_SHOWN else ""
    return f"{location} must be unique, but has duplicates: {values}{more}"


def _describe_value(names: Sequence[str], *values_and_count: Any) -> str:
    *values, count = values_and_count
    return f"{' with '.join(map(value_for_message, names, values))} ({count} rows)"
