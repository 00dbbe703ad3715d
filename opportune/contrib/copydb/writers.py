"""Write tables inside a transaction: rows, deferred foreign keys, and sequences."""

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import psycopg
from sqlalchemy import Connection, Table, func, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from opportune.contrib.copydb.rows import Row, psycopg_driver, sqlite_driver, without_doubled_percents
from opportune.errors import OperatorError

NOTHING_WRITTEN = "Nothing was written."

BATCHES_PER_COPY = 20
"""Batches per COPY statement, so that errors are reported early and round trips are few."""

COPY_CONTEXT = re.compile(r"^COPY .*?, line (\d+)(?:, column (\w+))?", re.MULTILINE)

FOREIGN_KEYS = text("""
    SELECT format('ALTER TABLE %s ALTER CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
    WHERE contype = 'f' AND NOT condeferrable AND conrelid = ANY(CAST(:tables AS regclass[]))
""")
IDENTITIES = text("""
    SELECT format('ALTER TABLE %s ALTER COLUMN %I', attrelid::regclass, attname) FROM pg_attribute
    WHERE attidentity = 'a' AND NOT attisdropped AND attrelid = ANY(CAST(:tables AS regclass[]))
""")
SEQUENCE = text("""
    SELECT seqrelid::regclass::text, coalesce(pg_sequence_last_value(seqrelid), 0), seqmax FROM pg_sequence
    WHERE seqrelid = CAST(pg_get_serial_sequence(:table, :column) AS regclass)
""")


class Writer(ABC):
    """Writes to a database on a connection with an open transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def lock_tables(self, tables: Sequence[Table]) -> None:
        """Lock existing tables against writes of other transactions."""

    @abstractmethod
    def clear(self, tables: Sequence[Table], *, restart_numbers: bool = False) -> None:
        """Delete all rows of these tables."""

    @abstractmethod
    def write(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        """Insert rows with the driver's types."""

    @contextmanager
    @abstractmethod
    def deferred_foreign_keys(self, tables: Sequence[Table]) -> Iterator[None]:
        """Check the foreign keys of these tables at the end of the block."""

    @contextmanager
    def writable_identities(self, tables: Sequence[Table]) -> Iterator[None]:
        """Accept values for identity columns (`GENERATED ALWAYS AS IDENTITY`) in the block."""
        yield

    def advance_sequences(self, tables: Sequence[Table]) -> None:
        """Set sequences so that new rows get unused ids."""


def writer_for(connection: Connection) -> Writer:
    return PostgreSQLWriter(connection) if connection.dialect.name == "postgresql" else SQLiteWriter(connection)


class SQLiteWriter(Writer):
    """Writer for a connection without enforcement of foreign keys. They are checked once at the end."""

    def clear(self, tables: Sequence[Table], *, restart_numbers: bool = False) -> None:
        for table in reversed(tables):
            self.connection.execute(table.delete())
        # Other tables number new rows after the largest id.
        if restart_numbers and inspect(self.connection).has_table("sqlite_sequence"):
            names = [(table.name,) for table in tables]
            self.connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", names)

    def write(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        driver = sqlite_driver(self.connection)
        statement = str(insert(table).compile(dialect=self.connection.dialect))
        for rows in batches:
            remaining = iter(rows)
            try:
                driver.executemany(statement, remaining)
            except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as error:
                refused = len(rows) - len([*remaining]) - 1
                raise row_error(table, _keys(table, rows)[refused], str(error)) from error

    @contextmanager
    def deferred_foreign_keys(self, tables: Sequence[Table]) -> Iterator[None]:
        yield
        if violation := self.connection.execute(text("PRAGMA foreign_key_check")).first():
            table, row, referred, _ = violation
            raise OperatorError(f"{table}, row {row} refers to a missing row of {referred}. {NOTHING_WRITTEN}")


class PostgreSQLWriter(Writer):
    def lock_tables(self, tables: Sequence[Table]) -> None:
        existing = set(inspect(self.connection).get_table_names())
        if names := [self._name(table) for table in tables if table.name in existing]:
            self.connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE")

    def clear(self, tables: Sequence[Table], *, restart_numbers: bool = False) -> None:
        # Without CASCADE, because it would also delete rows of other programs' tables.
        numbers = "RESTART IDENTITY" if restart_numbers else "CONTINUE IDENTITY"
        self.connection.exec_driver_sql(f"TRUNCATE {', '.join(map(self._name, tables))} {numbers}")

    def write(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        batches = iter(batches)
        for first_batch in batches:
            self._copy_batches(table, chain([first_batch], islice(batches, BATCHES_PER_COPY - 1)))

    def _copy_batches(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        columns = ", ".join(map(self.connection.dialect.identifier_preparer.format_column, table.columns))
        statement = without_doubled_percents(f"COPY {self._name(table)} ({columns}) FROM STDIN").encode()
        keys: list[Any] = []
        sent_rows = 0
        try:
            with psycopg_driver(self.connection).cursor() as cursor, cursor.copy(statement) as copy:
                for rows in batches:
                    keys += _keys(table, rows)
                    for row in rows:
                        copy.write_row(row)
                        sent_rows += 1
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            row_index = sent_rows
            column = error.diag.column_name or ""
            if position := COPY_CONTEXT.search(error.diag.context or ""):
                row_index = int(position[1]) - 1
                column = position[2] or column
            elif "NUL" in str(error):  # psycopg refuses it before it sends the row
                values = zip(table.columns, row, strict=True)
                column = next((column.name for column, value in values if "\0" in str(value)), "")
            key = keys[row_index] if row_index < len(keys) else None
            raise row_error(table, key, _error_reason(error), column) from error

    @contextmanager
    def deferred_foreign_keys(self, tables: Sequence[Table]) -> Iterator[None]:
        names = {"tables": list(map(self._name, tables))}
        alter_statements = self.connection.scalars(FOREIGN_KEYS, names).all()
        for alter_statement in alter_statements:
            self.connection.exec_driver_sql(f"{alter_statement} DEFERRABLE INITIALLY DEFERRED")
        yield
        try:
            self.connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        except IntegrityError as error:
            raise OperatorError(f"{_error_reason(error.orig)}. {NOTHING_WRITTEN}") from error
        for alter_statement in alter_statements:
            self.connection.exec_driver_sql(f"{alter_statement} NOT DEFERRABLE")

    @contextmanager
    def writable_identities(self, tables: Sequence[Table]) -> Iterator[None]:
        columns = self.connection.scalars(IDENTITIES, {"tables": list(map(self._name, tables))}).all()
        for column in columns:
            self.connection.exec_driver_sql(f"{column} SET GENERATED BY DEFAULT")
        yield
        for column in columns:
            self.connection.exec_driver_sql(f"{column} SET GENERATED ALWAYS")

    def advance_sequences(self, tables: Sequence[Table]) -> None:
        for table in tables:
            if table.autoincrement_column is not None:
                self._advance(table, table.autoincrement_column.name)

    def _advance(self, table: Table, column: str) -> None:
        sequence = self.connection.execute(SEQUENCE, {"table": self._name(table), "column": column}).first()
        if not sequence:
            return
        name, last_value, max_value = sequence
        max_id = self.connection.scalar(select(func.max(table.columns[column]))) or 0
        start = min(max(max_id, last_value) + 1, max_value)
        # Not `setval`, which is not rolled back.
        self.connection.exec_driver_sql(f"ALTER SEQUENCE {name} RESTART WITH {start}")

    def _name(self, table: Table) -> str:
        return self.connection.dialect.identifier_preparer.format_table(table)


def row_error(table: Table, key: object, reason: str, column: str = "") -> OperatorError:
    """Return the error for a row that the database refuses."""
    position = f"{table.name}.{column}" if column else table.name
    if key is not None:
        position += f", row {key}"
    reason = reason.removeprefix(f"{table.name}: ").removesuffix(".")
    return OperatorError(f"{position}: {reason}. {NOTHING_WRITTEN}")


def _error_reason(error: BaseException | None) -> str:
    """Return PostgreSQL's message without the parts that can contain a whole row."""
    if not isinstance(error, psycopg.Error) or not error.diag.message_primary:
        return str(error)
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        return f"{error.diag.table_name}: {error.diag.message_detail or ''}".removesuffix(".")
    return error.diag.message_primary


def _keys(table: Table, rows: Sequence[Row]) -> list[Any]:
    positions = [position for position, column in enumerate(table.columns) if column.primary_key]
    if not positions:  # a table without a model
        return [None] * len(rows)
    return list(map(itemgetter(*positions), rows))
