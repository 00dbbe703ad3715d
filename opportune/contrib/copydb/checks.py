"""Checks of source and destination before a copy."""

import secrets
from collections.abc import Sequence

from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select

from opportune.contrib.copydb.connections import explained_errors, open_snapshot
from opportune.contrib.copydb.rows import TableRows
from opportune.contrib.copydb.tables import count_rows, find_generated_columns, has_rows, sort_tables, without_columns
from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import VERSION_TABLE, read_revisions
from opportune.db.migrations.ownership import find_child_tables, read_applied_owners
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.db.migrations.runner import run_migrations
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN

MIGRATE = f"DATABASE_URL=… {OPPMAN} migrate"


def examine(
    source: DatabaseUrl,
    target: DatabaseUrl,
    graph: MigrationGraph,
    *,
    force: bool = False,
    metadata: MetaData = Model.metadata,
    leave_others: bool = False,
) -> dict[str, int]:
    """Check a copy without writing anything, and return the number of rows per table.

    Args:
        leave_others: Accept tables that no feature owns, which are not copied.
    """
    refuse_same_file(source, target)
    with open_snapshot(source) as connection:
        with explained_errors(source):
            tables = find_tables(connection, graph, metadata)
            check_source(connection, graph, tables, leave_others=leave_others)
        if target.kind == "postgresql" or target.path.exists():
            with open_snapshot(target) as target_connection, explained_errors(target):
                refuse_same_database(connection, target_connection)
                check_target(target_connection, graph, tables, force=force)
        with explained_errors(source):
            return {table.name: count_rows(connection, table) for table in tables}


def find_tables(connection: Connection, graph: MigrationGraph, metadata: MetaData) -> list[Table]:
    """Return the tables to copy: those of models, then those that migrations have created in their own code."""
    owners = read_applied_owners(connection, graph, metadata)
    children = find_child_tables(connection, owners.tables)
    existing = set(inspect(connection).get_table_names()) - children
    names = sorted(({*owners.created, *owners.written} & existing) - owners.models.keys())
    return [*sort_tables(metadata), *(_read_table(connection, name) for name in names)]


def _read_table(connection: Connection, name: str) -> Table:
    """Return a table without a model, with its columns but without keys to other tables."""
    inspector = inspect(connection)
    keys = inspector.get_pk_constraint(name)["constrained_columns"]
    with ignore_reflection_warnings():
        columns = inspector.get_columns(name)
    parts = [Column(column["name"], column["type"], primary_key=column["name"] in keys) for column in columns]
    return Table(name, MetaData(), *parts)


def refuse_same_file(source: DatabaseUrl, target: DatabaseUrl) -> None:
    """Raise OperatorError if both are the same SQLite file, or the target is only loaded into memory."""
    if target.kind == "memory":
        raise OperatorError("The destination is loaded into memory and never written: use sqlite:/// with its file.")
    if "postgresql" in (source.kind, target.kind):
        return
    both_exist = source.path.exists() and target.path.exists()
    if source.path == target.path or (both_exist and source.path.samefile(target.path)):
        raise OperatorError(f"Source and destination are the same file: {source.path}.")


def refuse_same_database(source: Connection, target: Connection) -> None:
    """Raise OperatorError if both are the same PostgreSQL database, even under different names.

    The target takes an advisory lock that the source then tries to take.
    """
    if not source.dialect.name == target.dialect.name == "postgresql":
        return
    lock_id = secrets.randbits(62)
    target.execute(select(func.pg_advisory_xact_lock(lock_id)))
    if not source.scalar(select(func.pg_try_advisory_xact_lock(lock_id))):
        raise OperatorError("Source and destination are the same database.")


def check_source(connection: Connection, graph: MigrationGraph, tables: Sequence[Table], *, leave_others: bool) -> None:
    """Check that the copy contains everything in the source."""
    revisions = read_revisions(connection)
    _refuse_newer_migrations(graph, revisions, "source")
    if not revisions:
        raise OperatorError("The source has no migrations: it is empty, or another database. SRC comes before DST.")
    if pending := graph.pending(revisions):
        raise OperatorError(
            f"The source lacks migrations ({', '.join(map(str, pending))}). "
            f"Use the code of its release (git switch), or run: {MIGRATE}"
        )
    existing = {name for name in inspect(connection).get_table_names() if not is_derived(name)}
    names = {table.name for table in tables}
    unknown = existing - names - {VERSION_TABLE.name} - find_child_tables(connection, names)
    if unknown and not leave_others:
        raise OperatorError(
            f"The source has tables without a model, which would be lost: {', '.join(sorted(unknown))}. "
            "Install their features. Move tables of other programs to another schema or database."
        )
    for table in tables:
        _refuse_different_columns(connection, table)


def check_target(connection: Connection, graph: MigrationGraph, tables: Sequence[Table], *, force: bool) -> bool:
    """Check that a copy may write here. Return True if the target already has its tables."""
    revisions = read_revisions(connection)
    _refuse_newer_migrations(graph, revisions, "destination")
    if not graph.applied(revisions):
        existing_tables = set(inspect(connection).get_table_names()) & {table.name for table in tables}
        if existing_tables:
            raise OperatorError(
                f"The destination has tables that no migration has created ({', '.join(sorted(existing_tables))}). "
                "Use an empty database."
            )
        return False
    if pending := graph.pending(revisions):
        raise OperatorError(f"The destination lacks migrations ({', '.join(map(str, pending))}). Run: {MIGRATE}")
    if not force and (nonempty_tables := _tables_with_own_rows(connection, graph, tables)):
        raise OperatorError(f"The destination has rows in {', '.join(nonempty_tables)}. To replace them: --force")
    return True


def _tables_with_own_rows(connection: Connection, graph: MigrationGraph, tables: Sequence[Table]) -> list[str]:
    """Return the names of tables with rows that were not inserted by migrations."""
    nonempty_tables = [table for table in tables if has_rows(connection, table)]
    if not nonempty_tables:
        return []
    with in_memory_connection() as fresh:
        try:
            run_migrations(fresh, graph)
        except OperatorError:  # a migration that SQLite does not support
            return [table.name for table in nonempty_tables]
        return [table.name for table in nonempty_tables if not _have_equal_rows(table, fresh, connection)]


def _have_equal_rows(table: Table, fresh: Connection, target_connection: Connection) -> bool:
    if not inspect(fresh).has_table(table.name):  # only migrations on PostgreSQL create it
        return False
    stored = without_columns(table, find_generated_columns(target_connection, [table])[table])
    rows = TableRows(stored, fresh, other=target_connection)
    return rows.checksum() == TableRows(stored, target_connection, other=fresh).checksum()


def _refuse_newer_migrations(graph: MigrationGraph, revisions: Sequence[str], side: str) -> None:
    if newer := graph.newer_revisions(revisions):
        raise OperatorError(f"The {side} has migrations that are missing here ({', '.join(newer)}): update the code.")


def _refuse_different_columns(connection: Connection, table: Table) -> None:
    existing = {column["name"] for column in inspect(connection).get_columns(table.name)}
    if differing := existing ^ set(table.columns.keys()):
        raise OperatorError(
            f"The columns of {table.name} differ from its model ({', '.join(sorted(differing))}). "
            f"Run: {OPPMAN} makemigrations, then migrate."
        )
