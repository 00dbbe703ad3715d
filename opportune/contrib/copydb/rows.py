"""Read rows from the drivers, and convert them."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from itertools import islice, repeat
from types import NoneType
from typing import Any

import psycopg
from sqlalchemy import Connection, Table, select

from opportune.contrib.copydb import conversions
from opportune.errors import OperatorError

Row = tuple[Any, ...]
Progress = Callable[[int], None]
"""Called with a number of processed rows."""

BATCH_ROWS = 500

# Types accepted from SQLite by a column's Python type. SQLite itself stores any type in any column.
ACCEPTED_TYPES: Mapping[type, Collection[type]] = {
    int: {int},
    bool: {int},
    float: {int, float},
    Decimal: {int, float, str},
    bytes: {bytes},
    dict: {str, int, float},  # JSON: SQLite converts numeric text to a number
    object: {int, float, str, bytes},
}
TEXT_TYPES = {str}
TEXT_OID = 25
"""PostgreSQL's id of the type text."""


@dataclass
class Checksum:
    """Sum of the rows' hashes, independent of their order."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        self.total += sum(_hash(row) for row in rows)

    def __str__(self) -> str:
        return f"{self.total % 2**64:016x}"


def _hash(row: Row) -> int:
    return int.from_bytes(blake2b(repr(row).encode(), digest_size=8).digest())


class TableRows:
    """Rows of a table in one database, and their conversions between its driver, Python and the form to compare.

    Between two SQLite files nothing is converted.
    """

    def __init__(self, table: Table, connection: Connection, other: Connection) -> None:
        """`other` is a connection to the database that the rows are copied to or from."""
        self.table = table
        self.connection = connection
        dialect = connection.dialect
        is_converted = not dialect.name == other.dialect.name == "sqlite"
        # PostgreSQL has to be asked for the types of columns before it sends or receives rows.
        type_codes = _type_codes(connection, table) if dialect.name == "postgresql" else repeat(None)
        self._load = conversions.find_loaders(table, dialect, type_codes) if is_converted else {}
        self._store = conversions.find_storers(table, dialect) if is_converted else {}
        self._canonical = conversions.find_canonical_converters(table) if is_converted else {}

    def read(self) -> Iterator[Sequence[Row]]:
        """Yield the rows in batches, ordered by primary key, with the driver's types."""
        read = _read_postgresql if self.connection.dialect.name == "postgresql" else _read_sqlite
        rows = read(self.connection, self.table)
        while batch := list(islice(rows, BATCH_ROWS)):
            yield batch

    def load(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Convert rows from the driver's types to those of Python."""
        return _convert_rows(self.table, rows, self._load)

    def store(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Convert rows from Python's types to those of the driver."""
        return _convert_rows(self.table, rows, self._store)

    def canonical(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Convert rows from Python's types to the form that is compared."""
        return _convert_rows(self.table, rows, self._canonical)

    def checksum(self, progress: Progress = lambda _rows: None) -> Checksum:
        checksum = Checksum()
        for rows in self.read():
            checksum.add(self.canonical(self.load(rows)))
            progress(len(rows))
        return checksum


def _convert_rows(table: Table, rows: Sequence[Row], converters: conversions.Converters) -> Sequence[Row]:
    """Convert column by column, which is faster than row by row."""
    if not converters:
        return rows
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for position, convert in converters.items():
        try:
            columns[position] = list(map(convert, columns[position]))
        except (ValueError, TypeError, LookupError, ArithmeticError):
            index = next(index for index, value in enumerate(columns[position]) if _conversion_fails(convert, value))
            raise _invalid_value_error(table, position, rows[index]) from None
    return list(zip(*columns, strict=True))


def refuse_invalid(table: Table, rows: Sequence[Row]) -> None:
    """Raise OperatorError if a value does not have its column's type, which SQLite does not enforce."""
    for position, values in enumerate(zip(*rows, strict=True)):
        allowed = {*_accepted_types(table, position), NoneType}
        if not allowed.issuperset(map(type, values)):
            index = next(index for index, value in enumerate(values) if type(value) not in allowed)
            raise _invalid_value_error(table, position, rows[index])


def _invalid_value_error(table: Table, position: int, row: Row) -> OperatorError:
    column = table.columns[position]
    key = (str(value) for column, value in zip(table.columns, row, strict=True) if column.primary_key)
    return OperatorError(
        f"{table.name}.{column.name}, row {', '.join(key)}: {type(row[position]).__name__} instead of {column.type}. "
        "Correct it in the source. Nothing was written."
    )


def _select_statement(connection: Connection, table: Table) -> str:
    statement = str(select(table).order_by(*table.primary_key).compile(dialect=connection.dialect))
    return without_doubled_percents(statement) if connection.dialect.name == "postgresql" else statement


def without_doubled_percents(statement: str) -> str:
    """Return a statement for psycopg. SQLAlchemy writes `%%`, which is literal in statements without parameters."""
    return statement.replace("%%", "%")


def sqlite_driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def psycopg_driver(connection: Connection) -> psycopg.Connection[Row]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _read_postgresql(connection: Connection, table: Table) -> Iterator[Row]:
    codes = _type_codes(connection, table)
    command = f"COPY ({_select_statement(connection, table)}) TO STDOUT".encode()
    with psycopg_driver(connection).cursor() as cursor, cursor.copy(command) as copy:
        copy.set_types(codes)
        yield from copy.rows()


def _read_sqlite(connection: Connection, table: Table) -> Iterator[Row]:
    driver = sqlite_driver(connection)
    try:
        yield from driver.execute(_select_statement(connection, table))
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
        driver.text_factory = _decode_or_keep
        for row in driver.execute(_select_statement(connection, table)):
            refuse_invalid(table, [row])
        raise OperatorError(f"{table.name} contains text that is not UTF-8. Nothing was written.") from None


def _decode_or_keep(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _conversion_fails(convert: conversions.Convert, value: object) -> bool:
    try:
        convert(value)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return True
    return False


def _accepted_types(table: Table, position: int) -> Collection[type]:
    return ACCEPTED_TYPES.get(conversions.python_type(table.columns[position].type), TEXT_TYPES)


def _type_codes(connection: Connection, table: Table) -> list[int]:
    """Return PostgreSQL's type ids of the columns, with JSON as text."""
    with psycopg_driver(connection).cursor() as cursor:
        cursor.execute(f"{_select_statement(connection, table)} LIMIT 0".encode())
        codes = [column.type_code for column in cursor.description or ()]
    return [
        TEXT_OID if conversions.is_json(column) else code for column, code in zip(table.columns, codes, strict=True)
    ]
