"""Filling tables inside a transaction: rows, foreign keys that wait, and the numbers of the rows to come."""

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

from opportune.errors import OperatorError
from opportune.ops.copydb.rows import Row, psycopg_driver, sqlite_driver

NOTHING_WRITTEN = "Nothing was written."

BATCHES_PER_COPY = 20
"""So many go into one COPY: a fault is told soon, and a distant server is not asked too often."""

COPY_CONTEXT = re.compile(r"^COPY .*?, line (\d+)(?:, column (\w+))?", re.MULTILINE)

FOREIGN_KEYS = text("""
    SELECT format('ALTER TABLE %s ALTER CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
    WHERE contype = 'f' AND NOT condeferrable AND conrelid = ANY(CAST(:tables AS regclass[]))
""")
SEQUENCE = text("""
    SELECT seqrelid::regclass::text, coalesce(pg_sequence_last_value(seqrelid), 0), seqmax FROM pg_sequence
    WHERE seqrelid = CAST(pg_get_serial_sequence(:table, :column) AS regclass)
""")


class Writer(ABC):
    """Writes into one kind of database, on a connection that is in a transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def reserve(self, tables: Sequence[Table]) -> None:
        """Keep others from writing into the tables that are there until the transaction ends."""

    @abstractmethod
    def clear(self, tables: Sequence[Table], *, restart_numbers: bool = False) -> None:
        """Delete all rows of these tables."""

    @abstractmethod
    def write(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        """Add rows, as the driver takes them.

        Raises:
            OperatorError: the database refuses one; the line names it.
        """

    @contextmanager
    @abstractmethod
    def foreign_keys_waiting(self, tables: Sequence[Table]) -> Iterator[None]:
        """Let rows of these tables point at rows that come later, as long as all are there when the block ends.

        Raises:
            OperatorError: some are missing.
        """

    def advance_numbers(self, tables: Sequence[Table]) -> None:
        """Let new rows be numbered after those that are there."""


def writer_for(connection: Connection) -> Writer:
    return PostgreSQLWriter(connection) if connection.dialect.name == "postgresql" else SQLiteWriter(connection)


class SQLiteWriter(Writer):
    """Expects the enforcement of foreign keys to be off: they are looked at once, when everything is there."""

    def clear(self, tables: Sequence[Table], *, restart_numbers: bool = False) -> None:
        # It numbers rows after the largest id there is.
        for table in reversed(tables):
            self.connection.execute(table.delete())

    def write(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        driver = sqlite_driver(self.connection)
        statement = str(insert(table).compile(dialect=self.connection.dialect))
        for rows in batches:
            before = driver.total_changes
            try:
                driver.executemany(statement, rows)
            except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as error:
                raise refusal(table, _keys(table, rows)[driver.total_changes - before], str(error)) from error

    @contextmanager
    def foreign_keys_waiting(self, tables: Sequence[Table]) -> Iterator[None]:
        yield
        if broken := self.connection.execute(text("PRAGMA foreign_key_check")).first():
            table, row, points_at, _ = broken
            raise OperatorError(
                f"{table}, row {row} points at a row of {points_at} that is not there. {NOTHING_WRITTEN}"
            )


class PostgreSQLWriter(Writer):
    def reserve(self, tables: Sequence[Table]) -> None:
        there = set(inspect(self.connection).get_table_names())
        if names := [self._name(table) for table in tables if table.name in there]:
            self.connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE")

    def clear(self, tables: Sequence[Table], *, restart_numbers: bool = False) -> None:
        # Without CASCADE: what somebody else's tables need is not ours to delete.
        numbers = "RESTART IDENTITY" if restart_numbers else "CONTINUE IDENTITY"
        self.connection.exec_driver_sql(f"TRUNCATE {', '.join(map(self._name, tables))} {numbers}")

    def write(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        batches = iter(batches)
        for first in batches:
            self._copy(table, chain([first], islice(batches, BATCHES_PER_COPY - 1)))

    def _copy(self, table: Table, batches: Iterable[Sequence[Row]]) -> None:
        columns = ", ".join(map(self.connection.dialect.identifier_preparer.format_column, table.columns))
        statement = f"COPY {self._name(table)} ({columns}) FROM STDIN".encode()
        keys: list[Any] = []
        sent = 0
        try:
            with psycopg_driver(self.connection).cursor() as cursor, cursor.copy(statement) as copy:
                for rows in batches:
                    keys += _keys(table, rows)
                    for row in rows:
                        copy.write_row(row)
                        sent += 1
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            place = COPY_CONTEXT.search(error.diag.context or "")
            number = int(place[1]) - 1 if place else sent
            column = (place and place[2]) or error.diag.column_name or ""
            at = keys[number] if number < len(keys) else None
            raise refusal(table, at, _reason(error), column) from error

    @contextmanager
    def foreign_keys_waiting(self, tables: Sequence[Table]) -> Iterator[None]:
        names = {"tables": list(map(self._name, tables))}
        changes = self.connection.scalars(FOREIGN_KEYS, names).all()
        for change in changes:
            self.connection.exec_driver_sql(f"{change} DEFERRABLE INITIALLY DEFERRED")
        yield
        try:
            self.connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        except IntegrityError as error:
            raise OperatorError(f"{_reason(error.orig)}. {NOTHING_WRITTEN}") from error
        for change in changes:
            self.connection.exec_driver_sql(f"{change} NOT DEFERRABLE")

    def advance_numbers(self, tables: Sequence[Table]) -> None:
        for table in tables:
            if table.autoincrement_column is not None:
                self._advance(table, table.autoincrement_column.name)

    def _advance(self, table: Table, column: str) -> None:
        found = self.connection.execute(SEQUENCE, {"table": self._name(table), "column": column}).first()
        if not found:
            return
        name, last, largest = found
        highest = self.connection.scalar(select(func.max(table.columns[column]))) or 0
        start = min(max(highest, last) + 1, largest)
        # `setval` would outlive a rollback.
        self.connection.exec_driver_sql(f"ALTER SEQUENCE {name} RESTART WITH {start}")

    def _name(self, table: Table) -> str:
        return self.connection.dialect.identifier_preparer.format_table(table)


def refusal(table: Table, key: object, reason: str, column: str = "") -> OperatorError:
    """One line on a row that the database does not take."""
    place = f"{table.name}{column and '.'}{column}" + ("" if key is None else f", row {key}")
    return OperatorError(f"{place}: {reason.removesuffix('.')}. {NOTHING_WRITTEN}")


def _reason(error: BaseException | None) -> str:
    """PostgreSQL's own words, but for what might quote a whole row."""
    if not isinstance(error, psycopg.Error) or not error.diag.message_primary:
        return str(error)
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        return f"{error.diag.table_name}: {error.diag.message_detail or ''}".removesuffix(".")
    return error.diag.message_primary


def _keys(table: Table, rows: Sequence[Row]) -> list[Any]:
    positions = [position for position, column in enumerate(table.columns) if column.primary_key]
    return list(map(itemgetter(*positions), rows))
