"""What is looked at on both sides before anything is touched."""

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, MetaData, Table, func, inspect, select
from sqlalchemy.schema import sort_tables_and_constraints

from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import VERSION_TABLE, recorded_revisions
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.runner import plan_for, run_migrations
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.ops.copydb.connections import explained_errors, snapshot
from opportune.ops.copydb.rows import Checksum, conversions, read

MIGRATE = "DATABASE_URL=… python3 oppman.py migrate"


def examine(
    source: DatabaseURL,
    target: DatabaseURL,
    graph: MigrationGraph,
    *,
    force: bool = False,
    metadata: MetaData = Model.metadata,
) -> dict[str, int]:
    """How many rows of which tables a copy would bring. Writes nothing and makes no file.

    Raises:
        OperatorError: with one line on why the copy would be refused.
    """
    refuse_same_file(source, target)
    tables = in_order(metadata)
    with snapshot(source) as connection:
        with explained_errors(source):
            check_source(connection, graph, tables)
        if target.kind == "postgresql" or target.path.exists():
            with snapshot(target) as other, explained_errors(target):
                refuse_same_database(connection, other)
                check_target(other, graph, tables, force=force)
        with explained_errors(source):
            return {table.name: count(connection, table) for table in tables}


def in_order(metadata: MetaData) -> list[Table]:
    """The tables, each after those that it points at as far as that is possible."""
    found = sort_tables_and_constraints(metadata.tables.values())  # type: ignore[no-untyped-call]
    return [table for table, _ in found if table is not None]


def count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def refuse_same_file(source: DatabaseURL, target: DatabaseURL) -> None:
    """Files are compared by what they are, not by what they are called.

    Raises:
        OperatorError: both are the same file, or the target cannot be written at all.
    """
    if target.kind == "memory":
        raise OperatorError("The destination is read into memory and never written: name its file with sqlite:///.")
    if "postgresql" in (source.kind, target.kind):
        return
    there = source.path.exists() and target.path.exists()
    if source.path == target.path or (there and source.path.samefile(target.path)):
        raise OperatorError(f"Source and destination are the same file: {source.path}.")


def refuse_same_database(source: Connection, target: Connection) -> None:
    """A lock that one of them holds tells, whatever names and poolers the two addresses go by.

    Raises:
        OperatorError: both are the same PostgreSQL database.
    """
    if not source.dialect.name == target.dialect.name == "postgresql":
        return
    number = secrets.randbits(62)
    target.execute(select(func.pg_advisory_xact_lock(number)))
    if not source.scalar(select(func.pg_try_advisory_xact_lock(number))):
        raise OperatorError("Source and destination are the same database.")


def check_source(connection: Connection, graph: MigrationGraph, tables: Sequence[Table]) -> None:
    """What is not in the models would be lost in silence.

    Raises:
        OperatorError: the source is at another state than the code, or holds what the models do not know.
    """
    rows = recorded_revisions(connection)
    _refuse_newer(graph, rows, "source")
    if pending := graph.pending(rows):
        raise OperatorError(f"The source lacks migrations ({', '.join(map(str, pending))}). Run: {MIGRATE}")
    there = {name for name in inspect(connection).get_table_names() if not is_derived(name)}
    strangers = there - {table.name for table in tables} - {VERSION_TABLE.name}
    if strangers:
        raise OperatorError(
            f"The source has tables that no model knows and that would be lost: {', '.join(sorted(strangers))}. "
            "Install the features that they belong to, or drop them."
        )
    for table in tables:
        _refuse_other_columns(connection, table)


def check_target(connection: Connection, graph: MigrationGraph, tables: Sequence[Table], *, force: bool) -> bool:
    """Whether the target has its tables already.

    Raises:
        OperatorError: it is at another state than the code, or holds rows and may not lose them.
    """
    rows = recorded_revisions(connection)
    _refuse_newer(graph, rows, "destination")
    present = set(inspect(connection).get_table_names()) & {table.name for table in tables}
    pending = graph.pending(rows)
    if not graph.applied(rows):
        if present:
            raise OperatorError(
                f"The destination has tables of these names that no migration has made ({', '.join(sorted(present))}). "
                "Use an empty database."
            )
        return False
    if pending:
        raise OperatorError(
            f"The destination is at another state: it lacks {', '.join(map(str, pending))}. Run: {MIGRATE}"
        )
    if not force and (filled := _somebodys(connection, graph, tables)):
        raise OperatorError(f"The destination has rows in {', '.join(filled)}. To replace them: --force")
    return True


def has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(1).select_from(table).limit(1)).first() is not None


def _somebodys(connection: Connection, graph: MigrationGraph, tables: Sequence[Table]) -> list[str]:
    """The names of tables with other rows than the migrations insert."""
    filled = [table for table in tables if has_rows(connection, table)]
    if not filled:
        return []
    with in_memory_connection() as fresh:
        try:
            run_migrations(fresh, graph, plan_for(graph))
        except OperatorError:  # a migration that SQLite cannot do
            return [table.name for table in filled]
        return [table.name for table in filled if not _have_the_same_rows(table, fresh, connection)]


def _have_the_same_rows(table: Table, one: Connection, other: Connection) -> bool:
    forms = conversions(table, one, other)
    found = Checksum.of(table, read(one, table), forms.load, forms.canonical)
    return found == Checksum.of(table, read(other, table), forms.back, forms.canonical)


def _refuse_newer(graph: MigrationGraph, rows: Sequence[str], side: str) -> None:
    if newer := graph.unknown(rows).newer:
        raise OperatorError(f"The {side} has migrations that this code lacks ({', '.join(newer)}): use newer code.")


def _refuse_other_columns(connection: Connection, table: Table) -> None:
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    if differing := there ^ set(table.columns.keys()):
        raise OperatorError(
            f"The columns of {table.name} are not those of its model ({', '.join(sorted(differing))}). "
            "Run: python3 oppman.py makemigrations, then migrate."
        )
