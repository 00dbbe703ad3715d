"""Rows as the drivers give and take them, and a form of them that is the same on both kinds of database."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import MAX_PREC, Context, Decimal
from hashlib import blake2b
from itertools import islice, repeat
from types import NoneType
from typing import Any

import psycopg
from sqlalchemy import JSON, Column, Connection, Table, TypeDecorator, select
from sqlalchemy.types import TypeEngine

from opportune.errors import OperatorError

Row = tuple[Any, ...]
Convert = Callable[[Any], Any]
Converters = Mapping[int, Convert]
"""By the position of the column. Values of other columns stay as they are."""

BATCH_ROWS = 500

# What a SQLite column may hold beside NULL, by the type that Python has for it. SQLite itself lets anything in.
ACCEPTED_TYPES: Mapping[type, Collection[type]] = {
    int: {int},
    bool: {int},
    float: {int, float},
    Decimal: {int, float, str},
    bytes: {bytes},
    dict: {str, int, float},  # JSON: SQLite makes a number of what looks like one
    object: {int, float, str, bytes},
}
TEXT = {str}
TEXT_OID = 25
"""PostgreSQL's number for it."""
EXACT = Context(prec=MAX_PREC)


@dataclass
class Checksum:
    """The sum of the rows' hashes: their order does not matter."""

    rows: int = 0
    total: int = 0

    @classmethod
    def of(cls, table: Table, batches: Iterable[Sequence[Row]], *forms: Converters) -> "Checksum":
        """That of all batches, whose rows go through these conversions one after the other."""
        found = cls()
        for batch in batches:
            rows = batch
            for form in forms:
                rows = converted(table, rows, form)
            found.add(rows)
        return found

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        self.total += sum(_hash(row) for row in rows)

    def __str__(self) -> str:
        return f"{self.total % 2**64:016x}"


def _hash(row: Row) -> int:
    return int.from_bytes(blake2b(repr(row).encode(), digest_size=8).digest())


@dataclass(frozen=True)
class Conversions:
    """How a table's rows get from the source's driver to the target's."""

    load: Converters = field(default_factory=dict)
    """From the source's driver to Python."""
    store: Converters = field(default_factory=dict)
    """From Python to the target's driver."""
    back: Converters = field(default_factory=dict)
    """From the target's driver to Python."""
    canonical: Converters = field(default_factory=dict)
    """From Python to what is compared."""


def conversions(table: Table, source: Connection, target: Connection) -> Conversions:
    """Between two SQLite files nothing is converted: what is odd in one is odd in the other."""
    if source.dialect.name == target.dialect.name == "sqlite":
        return Conversions()
    return Conversions(_loaders(table, source), _storers(table, target), _loaders(table, target), _canonical(table))


def converted(table: Table, rows: Sequence[Row], converters: Converters) -> Sequence[Row]:
    """Convert column by column, which takes a third of the time of row by row.

    Raises:
        OperatorError: a value is not of its column's type; the line names its place.
    """
    if not converters:
        return rows
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for position, convert in converters.items():
        try:
            columns[position] = list(map(convert, columns[position]))
        except (ValueError, TypeError, LookupError, ArithmeticError):
            index = next(index for index, value in enumerate(columns[position]) if _fails(convert, value))
            raise misfit(table, position, rows[index]) from None
    return list(zip(*columns, strict=True))


def refuse_misfits(table: Table, rows: Sequence[Row]) -> None:
    """SQLite lets any value into any column.

    Raises:
        OperatorError: a value is not of its column's type; the line names its place.
    """
    for position, values in enumerate(zip(*rows, strict=True)):
        allowed = {*_fitting(table, position), NoneType}
        if not allowed.issuperset(map(type, values)):
            index = next(index for index, value in enumerate(values) if type(value) not in allowed)
            raise misfit(table, position, rows[index])


def misfit(table: Table, position: int, row: Row) -> OperatorError:
    column = table.columns[position]
    return OperatorError(
        f"{place(table, row, column.name)}: {type(row[position]).__name__} that is no {column.type}. "
        "Put it right in the source. Nothing was written."
    )


def place(table: Table, row: Row, column: str = "") -> str:
    """Where something is, for a person: `books_book.title, row 7`."""
    return f"{table.name}{column and '.'}{column}, row {', '.join(str(part) for part in key(table, row))}"


def key(table: Table, row: Row) -> Row:
    """The row's primary key."""
    return tuple(value for column, value in zip(table.columns, row, strict=True) if column.primary_key)


def read(connection: Connection, table: Table) -> Iterator[Sequence[Row]]:
    """All rows in the order of their primary key, as the driver gives them, in batches.

    Raises:
        OperatorError: SQLite holds a text that is none.
    """
    rows = (
        _from_postgresql(connection, table)
        if connection.dialect.name == "postgresql"
        else _from_sqlite(connection, table)
    )
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def statement(connection: Connection, table: Table) -> str:
    return str(select(table).order_by(*table.primary_key).compile(dialect=connection.dialect))


def sqlite_driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def psycopg_driver(connection: Connection) -> psycopg.Connection[Row]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _from_postgresql(connection: Connection, table: Table) -> Iterator[Row]:
    codes = _type_codes(connection, table)
    wanted = statement(connection, table)
    with psycopg_driver(connection).cursor() as cursor, cursor.copy(f"COPY ({wanted}) TO STDOUT".encode()) as copy:
        copy.set_types(codes)
        yield from copy.rows()


def _from_sqlite(connection: Connection, table: Table) -> Iterator[Row]:
    driver = sqlite_driver(connection)
    try:
        yield from driver.execute(statement(connection, table))
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
        raise _no_text(driver, connection, table) from None


def _no_text(driver: sqlite3.Connection, connection: Connection, table: Table) -> OperatorError:
    """Look again, without decoding, for the text that SQLite has taken and cannot give back."""
    driver.text_factory = bytes
    for row in driver.execute(statement(connection, table)):
        for position, value in enumerate(row):
            if isinstance(value, bytes) and _fitting(table, position) == TEXT and _fails(bytes.decode, value):
                return misfit(table, position, row)
    return OperatorError(f"{table.name} holds text that is not UTF-8. Nothing was written.")


def _fails(convert: Convert, value: object) -> bool:
    try:
        convert(value)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return True
    return False


def _fitting(table: Table, position: int) -> Collection[type]:
    return ACCEPTED_TYPES.get(_python_type(table.columns[position].type), TEXT)


def _type_codes(connection: Connection, table: Table) -> list[int]:
    """PostgreSQL's numbers of the columns' types. JSON stays the text that it is."""
    with psycopg_driver(connection).cursor() as cursor:
        cursor.execute(f"{statement(connection, table)} LIMIT 0".encode())
        codes = [column.type_code for column in cursor.description or ()]
    return [TEXT_OID if _is_json(column) else code for column, code in zip(table.columns, codes, strict=True)]


def _is_json(column: Column[Any]) -> bool:
    """Then it is copied as text: read by a driver, JSON's own null would be the same as no value at all."""
    return isinstance(column.type, JSON)


def _loaders(table: Table, connection: Connection) -> Converters:
    dialect = connection.dialect
    codes = _type_codes(connection, table) if dialect.name == "postgresql" else repeat(None)
    found = (
        _json_text if _is_json(column) else column.type.dialect_impl(dialect).result_processor(dialect, code)
        for column, code in zip(table.columns, codes, strict=False)
    )
    return {position: convert for position, convert in enumerate(found) if convert}


def _json_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value  # what SQLite has made a number


def _storers(table: Table, connection: Connection) -> Converters:
    dialect = connection.dialect
    found = (
        None if _is_json(column) else column.type.dialect_impl(dialect).bind_processor(dialect)
        for column in table.columns
    )
    return {position: convert for position, convert in enumerate(found) if convert}


def _canonical(table: Table) -> Converters:
    """Where the same value has several forms: keys in any order, zeros at the end, a time zone that is always UTC."""
    found = (
        _sorted_json if _is_json(column) else _canonical_form(_python_type(column.type)) for column in table.columns
    )
    return {position: convert for position, convert in enumerate(found) if convert}


def _sorted_json(text: Any) -> Any:
    if text is None:
        return None
    return json.dumps(json.loads(text, parse_int=_exact, parse_float=_exact), sort_keys=True, default=repr)


def _exact(number: str | Decimal) -> Decimal:
    return Decimal(number).normalize(EXACT) or Decimal(0)  # which may have had a minus


def _canonical_form(kind: type) -> Convert | None:
    if kind is dict:  # JSON that somebody's own type makes something of
        return lambda value: json.dumps(value, sort_keys=True, default=repr)
    if kind in (float, Decimal):
        return _number
    return _in_utc if kind is datetime else None


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _exact(value)
    return None if value is None else value + 0.0  # SQLite keeps no minus before a zero


def _in_utc(value: Any) -> Any:
    return value and value.replace(tzinfo=None)


def _python_type(kind: TypeEngine[Any]) -> type:
    try:
        return kind.python_type
    except NotImplementedError:  # said by what it is made of, unless somebody made it of nothing
        return _python_type(kind.impl_instance) if isinstance(kind, TypeDecorator) else object
