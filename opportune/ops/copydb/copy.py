"""Everything from one database into another: schema by the migrations, rows, sequences, and a comparison of both."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table

from opportune.db.migrations.connection import acquire_migration_lock
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import plan_for, run_migrations_within
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.ops.copydb.checks import check_source, check_target, examine, has_rows, in_order, refuse_same_database
from opportune.ops.copydb.connections import destination, explained_errors, snapshot
from opportune.ops.copydb.rows import Checksum, Conversions, conversions, converted, read, refuse_misfits
from opportune.ops.copydb.writers import NOTHING_WRITTEN, Writer, writer_for

Progress = Callable[[int], None]
"""Told how many rows were handled since the last time. Each row is handled twice: copied, then compared."""


@dataclass(frozen=True)
class TableReport:
    """One table of a copy; what it holds is equal on both sides."""

    name: str
    rows: int
    checksum: str


def copy(
    source: DatabaseURL,
    target: DatabaseURL,
    graph: MigrationGraph,
    *,
    force: bool = False,
    progress: Progress = lambda _rows: None,
    metadata: MetaData = Model.metadata,
) -> list[TableReport]:
    """Copy every row of the models' tables. The target holds all of it afterwards, or what it held before.

    Raises:
        OperatorError: with one line on why nothing was copied.
    """
    examine(source, target, graph, force=force, metadata=metadata)
    tables = in_order(metadata)
    with snapshot(source) as connection, destination(target) as other:
        with explained_errors(source):
            check_source(connection, graph, tables)
        writer = writer_for(other)
        with explained_errors(target):
            refuse_same_database(connection, other)
            _prepare(writer, graph, tables, force=force)
            transfer = _Transfer(source, target, connection, writer, progress)
            with writer.foreign_keys_waiting(_pointing_ahead(tables)):
                sums = [transfer.copy(table) for table in tables]
            for table, checksum in zip(tables, sums, strict=True):
                transfer.compare(table, checksum)
            writer.advance_numbers(tables)
    return [TableReport(table.name, found.rows, str(found)) for table, found in zip(tables, sums, strict=True)]


def _prepare(writer: Writer, graph: MigrationGraph, tables: Sequence[Table], *, force: bool) -> None:
    """Make the tables and empty them. What was seen before may have changed until we hold the lock."""
    acquire_migration_lock(writer.connection)
    writer.reserve(tables)
    if not check_target(writer.connection, graph, tables, force=force):
        run_migrations_within(writer.connection, graph, plan_for(graph))
    if any(has_rows(writer.connection, table) for table in tables):  # which may be replaced, or came by a migration
        writer.clear(tables)


def _pointing_ahead(tables: Sequence[Table]) -> list[Table]:
    """Tables whose rows may point at rows that are copied after them: of the same table, or in a circle."""
    place = {table: number for number, table in enumerate(tables)}
    return [
        table
        for table in tables
        if any(place[key.referred_table] >= place[table] for key in table.foreign_key_constraints)
    ]


@dataclass
class _Transfer:
    source: DatabaseURL
    target: DatabaseURL
    connection: Connection
    writer: Writer
    progress: Progress

    def copy(self, table: Table) -> Checksum:
        """Copy a table and tell what was in it."""
        checksum = Checksum()
        forms = conversions(table, self.connection, self.writer.connection)
        # However writing ends, reading ends first: psycopg's COPY would keep the connection from being closed.
        with closing(self._batches(table, forms, checksum)) as batches:
            self.writer.write(table, batches)
        return checksum

    def _batches(self, table: Table, forms: Conversions, checksum: Checksum) -> Generator[Sequence[tuple[object, ...]]]:
        with explained_errors(self.source):
            for rows in read(self.connection, table):
                if self.target.kind == "postgresql" != self.source.kind:
                    refuse_misfits(table, rows)
                found = converted(table, rows, forms.load)
                checksum.add(converted(table, found, forms.canonical))
                yield converted(table, found, forms.store)
                self.progress(len(rows))

    def compare(self, table: Table, expected: Checksum) -> None:
        """Read back what was written.

        Raises:
            OperatorError: it is not what was read.
        """
        found = Checksum()
        forms = conversions(table, self.connection, self.writer.connection)
        for rows in read(self.writer.connection, table):
            found.add(converted(table, converted(table, rows, forms.back), forms.canonical))
            self.progress(len(rows))
        if found != expected:
            raise OperatorError(
                f"{table.name} would not be the same on both sides ({expected.rows} rows, {expected}; there "
                f"{found.rows} rows, {found}): it holds values that {self.target.kind} cannot keep. {NOTHING_WRITTEN}"
            )
