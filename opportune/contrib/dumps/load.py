"""Load rows from JSON: insert new rows and replace rows with an existing key."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.exc import OperationalError, StatementError
from sqlmodel import SQLModel

from opportune.contrib.copydb.tables import find_generated_columns, without_columns
from opportune.contrib.copydb.writers import writer_for
from opportune.contrib.dumps.names import natural_keys
from opportune.contrib.dumps.row_ids import RowIds
from opportune.contrib.dumps.rows import FixtureObject, FixtureRow, RowReader, error_reason, load_error
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import upsert

BATCH_ROWS = 200


def load(
    connection: Connection,
    tables: Mapping[str, Table],
    models: Sequence[type[SQLModel]],
    objects: Iterable[FixtureObject],
) -> int:
    """Write the rows in the connection's transaction and return their number.

    Raises:
        OperatorError: An object is invalid. The message names it.
    """
    keys = natural_keys(models)
    generated = find_generated_columns(connection, tables.values())
    reader = RowReader(tables, models, keys, generated)
    rows = [reader.read(item) for item in objects]
    writer = writer_for(connection)
    all_tables = list(tables.values())
    writer.advance_sequences(list({row.table for row in rows if row.lacks_id}))  # which locks them
    RowIds(connection, keys).assign(rows)
    _refuse_repeated_keys(rows)
    with writer.writable_identities(all_tables), writer.deferred_foreign_keys(all_tables):
        for table, table_rows in groupby(rows, key=lambda row: row.table):
            statement = _upsert(connection, without_columns(table, generated[table]))
            for batch in batches_of([*table_rows], BATCH_ROWS):
                _execute_many(connection, statement, batch)
    writer.advance_sequences(all_tables)
    return len(rows)


def _refuse_repeated_keys(rows: Iterable[FixtureRow]) -> None:
    positions: dict[Any, str] = {}
    for row in rows:
        key = row.table, *(row.values[column.name] for column in row.table.primary_key)
        if positions.setdefault(key, row.position) != row.position:
            raise load_error(row.position, f"its key is also that of {positions[key]}")


def _upsert(connection: Connection, table: Table) -> Any:
    """Return a statement that inserts rows and replaces those with the same primary key."""
    statement = upsert(connection, table)
    key = [column.name for column in table.primary_key]
    updates = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    if not updates:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=key, set_=updates)


def _execute_many(connection: Connection, statement: Executable, rows: Sequence[FixtureRow]) -> None:
    """Execute a statement with all rows. If it fails, execute it row by row to find the invalid one.

    Raises:
        OperatorError: The database refuses a row.
    """
    try:
        with connection.begin_nested():
            connection.execute(statement, [row.values for row in rows])
    except OperationalError:
        raise
    except (StatementError, OverflowError):  # the driver of SQLite refuses integers of more than 64 bits
        for row in rows:
            try:
                connection.execute(statement, row.values)
            except (StatementError, OverflowError) as error:
                raise load_error(row.position, error_reason(error)) from error
