"""Load rows from JSON: insert new rows and replace rows with an existing key."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby
from typing import Any

from sqlalchemy import Connection, Executable, Table, func, select
from sqlalchemy.exc import OperationalError, StatementError
from sqlmodel import SQLModel

from opportune.contrib.copydb.tables import find_generated_columns, without_columns
from opportune.contrib.copydb.writers import writer_for
from opportune.contrib.dumps.names import NaturalKeys, natural_keys
from opportune.contrib.dumps.rows import DumpedObject, DumpedRow, RowReader, error_reason, load_error
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import upsert

BATCH_ROWS = 200
KEYS_PER_QUERY = 200


def load(
    connection: Connection,
    tables: Mapping[str, Table],
    models: Sequence[type[SQLModel]],
    objects: Iterable[DumpedObject],
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


def _refuse_repeated_keys(rows: Iterable[DumpedRow]) -> None:
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


def _execute_many(connection: Connection, statement: Executable, rows: Sequence[DumpedRow]) -> None:
    """Execute a statement with all rows. If it fails, execute it row by row to find the invalid one."""
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


class RowIds:
    """Ids by table and natural key: those of the database, those of a dump, and unused ones for new rows.

    The caller has locked the sequences of the tables, so that no other transaction gets the same ids.
    """

    def __init__(self, connection: Connection, keys: NaturalKeys) -> None:
        self._connection = connection
        self._keys = keys
        self._ids: dict[Table, dict[Any, int]] = defaultdict(dict)
        self._unused_ids: dict[Table, Iterator[int]] = {}

    def assign(self, rows: Sequence[DumpedRow]) -> None:
        """Set the ids of rows without one, and those of referenced rows, in the values of the rows."""
        self._read_existing(rows)
        for row in rows:
            explicit_id = row.values.get(_id_column(row.table)) if row.table in self._keys else None
            if explicit_id is not None:
                self._ids[row.table][self._natural_key(row)] = explicit_id
        for row in rows:
            if row.lacks_id:
                row.values[_id_column(row.table)] = self._find_or_create(row.table, self._natural_key(row))
        for row in rows:
            self._set_references(row)

    def _natural_key(self, row: DumpedRow) -> Any:
        return row.values[self._keys[row.table]]

    def _read_existing(self, rows: Sequence[DumpedRow]) -> None:
        """Read the ids of existing rows, as far as the dump contains them or refers to them."""
        natural_keys: dict[Table, list[Any]] = defaultdict(list)
        for row in rows:
            if row.table in self._keys:
                natural_keys[row.table].append(self._natural_key(row))
            for reference in row.references:
                natural_keys[reference.table].append(reference.natural_key)
        for table, keys_of_table in natural_keys.items():
            key_column = table.c[self._keys[table]]
            for batch in batches_of([*dict.fromkeys(keys_of_table)], KEYS_PER_QUERY):
                existing = select(key_column, table.c[_id_column(table)]).where(key_column.in_(batch))
                self._ids[table].update(self._connection.execute(existing).all())

    def _find_or_create(self, table: Table, natural_key: Any) -> int:
        """Return the id of the row with this natural key, or an unused one for a new row."""
        if natural_key not in self._ids[table]:
            if table not in self._unused_ids:
                self._unused_ids[table] = count(self._first_unused_id(table))
            self._ids[table][natural_key] = next(self._unused_ids[table])
        return self._ids[table][natural_key]

    def _first_unused_id(self, table: Table) -> int:
        id_column = table.c[_id_column(table)]
        last = self._connection.scalar(select(func.max(id_column))) or 0
        dialect = self._connection.dialect
        if dialect.name == "postgresql":  # rows of running transactions have lower ids than the next one
            table_name = dialect.identifier_preparer.format_table(table)
            sequence = func.pg_get_serial_sequence(table_name, id_column.name)
            next_id = self._connection.scalar(select(func.nextval(sequence)))
            last = max(last, (next_id or 1) - 1)
        return int(max(last, *self._ids[table].values(), 0)) + 1

    def _set_references(self, row: DumpedRow) -> None:
        for reference in row.references:
            row_id = self._ids[reference.table].get(reference.natural_key)
            if row_id is None:
                key = self._keys[reference.table]
                reason = f"{reference.column}: no row of {reference.table.name} with this {key} exists"
                raise load_error(row.position, reason)
            row.values[reference.column] = row_id


def _id_column(table: Table) -> str:
    """Return the name of the primary key. Tables with a natural key have a single one."""
    (column,) = table.primary_key
    return str(column.name)
