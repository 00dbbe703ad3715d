"""Copy a database: create the schema with migrations, copy rows and sequences, then compare both sides."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table, inspect

from opportune.contrib.copydb.checks import check_source, check_target, examine, find_tables, refuse_same_database
from opportune.contrib.copydb.connections import explained_errors, open_destination, open_snapshot
from opportune.contrib.copydb.rows import Checksum, Progress, TableRows, refuse_invalid
from opportune.contrib.copydb.tables import find_generated_columns, has_rows, without_columns
from opportune.contrib.copydb.writers import NOTHING_WRITTEN, Writer, writer_for
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.locks import acquire_migration_lock
from opportune.db.migrations.runner import run_migrations_within
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError


@dataclass(frozen=True)
class TableReport:
    """Table of a copy, with the same rows on both sides."""

    name: str
    rows: int
    checksum: str


def copy(
    source: DatabaseUrl,
    target: DatabaseUrl,
    graph: MigrationGraph,
    *,
    force: bool = False,
    progress: Progress = lambda _rows: None,
    metadata: MetaData = Model.metadata,
    leave_others: bool = False,
) -> list[TableReport]:
    """Copy all rows of the features' tables in one transaction.

    Args:
        force: Replace existing rows of the target.
        progress: Called with the number of processed rows.
        leave_others: Accept tables of the source that no feature owns, which are not copied.

    Raises:
        OperatorError: Nothing was copied. The message has the reason.
    """
    examine(source, target, graph, force=force, metadata=metadata, leave_others=leave_others)
    with open_snapshot(source) as connection, open_destination(target) as target_connection:
        with explained_errors(source):
            tables = find_tables(connection, graph, metadata)
            check_source(connection, graph, tables, leave_others=leave_others)
        writer = writer_for(target_connection)
        with explained_errors(target):
            refuse_same_database(connection, target_connection)
            _prepare_tables(writer, graph, tables, force=force)
            transfer = _Transfer(source, target, connection, writer, progress)
            generated = find_generated_columns(target_connection, tables)
            stored = [without_columns(table, generated[table]) for table in tables]
            with writer.deferred_foreign_keys(_forward_references(tables)):
                checksums = {table: transfer.copy(table) for table in stored}
            for table, checksum in checksums.items():
                transfer.compare(table, checksum)
            writer.advance_sequences(tables)
    return [TableReport(table.name, checksum.rows, str(checksum)) for table, checksum in checksums.items()]


def _prepare_tables(writer: Writer, graph: MigrationGraph, tables: Sequence[Table], *, force: bool) -> None:
    """Create and empty the tables. The target is checked again, now that it is locked."""
    acquire_migration_lock(writer.connection)
    writer.lock_tables(tables)
    if not check_target(writer.connection, graph, tables, force=force):
        run_migrations_within(writer.connection, graph)
    _refuse_missing_tables(writer.connection, tables)
    if any(has_rows(writer.connection, table) for table in tables):  # `force` is set, or migrations inserted rows
        writer.clear(tables)


def _refuse_missing_tables(connection: Connection, tables: Sequence[Table]) -> None:
    existing = set(inspect(connection).get_table_names())
    if missing := [table.name for table in tables if table.name not in existing]:
        raise OperatorError(
            f"The migrations create no {', '.join(missing)} in the destination, so its rows would be lost. "
            f"{NOTHING_WRITTEN}"
        )


def _forward_references(tables: Sequence[Table]) -> list[Table]:
    """Return tables with foreign keys to rows that are copied later, because of self-references or cycles.

    Keys of tables without a model are unknown.
    """
    position = {table: number for number, table in enumerate(tables)}
    with_models = tables[0].metadata
    return [
        table
        for table in tables
        if table.metadata is not with_models
        or any(position[key.referred_table] >= position[table] for key in table.foreign_key_constraints)
    ]


@dataclass
class _Transfer:
    """Copies and compares tables between two open connections."""

    source: DatabaseUrl
    target: DatabaseUrl
    connection: Connection
    writer: Writer
    progress: Progress
    """Each row is processed twice: copied, then compared."""

    def copy(self, table: Table) -> Checksum:
        checksum = Checksum()
        # Close the generator even after an error: psycopg cannot close a connection during COPY.
        with closing(self._batches(table, checksum)) as batches:
            self.writer.write(table, batches)
        return checksum

    def _batches(self, table: Table, checksum: Checksum) -> Generator[Sequence[tuple[object, ...]]]:
        source_rows = TableRows(table, self.connection, other=self.writer.connection)
        target_rows = TableRows(table, self.writer.connection, other=self.connection)
        with explained_errors(self.source):
            for rows in source_rows.read():
                if self.target.kind == "postgresql" and self.source.kind != "postgresql":
                    refuse_invalid(table, rows)
                values = source_rows.load(rows)
                checksum.add(source_rows.canonical(values))
                yield target_rows.store(values)
                self.progress(len(rows))

    def compare(self, table: Table, expected: Checksum) -> None:
        """Read the written rows back."""
        actual = TableRows(table, self.writer.connection, other=self.connection).checksum(self.progress)
        if actual != expected:
            raise OperatorError(
                f"{table.name} would differ: {expected.rows} rows ({expected}) in the source, {actual.rows} rows "
                f"({actual}) in the destination. {self.target.kind} cannot store all of its values. {NOTHING_WRITTEN}"
            )
