"""Ids of rows that a natural key identifies, also of rows that come later or refer to each other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, Table, func, select

from opportune.contrib.dumps.batches import BATCH_ROWS, FixtureRow, load_error
from opportune.contrib.dumps.natural_keys import NaturalKeys, find_natural_references
from opportune.db.queries.batches import batches_of


def set_ids(connection: Connection, rows: Sequence[FixtureRow], keys: NaturalKeys) -> None:
    """Set the ids of rows without one, and those of referenced rows. New rows get unused ids.

    The caller has locked the sequences of the tables, so that no other transaction gets the same ids.

    Raises:
        OperatorError: A referenced row does not exist.
    """
    ids = _existing_ids(connection, rows, keys)
    for row in rows:
        explicit_id = row.values.get(_primary(row.table)) if row.table in keys else None
        if explicit_id is not None:
            ids[row.table][row.values[keys[row.table]]] = explicit_id
    _set_missing_ids(connection, [row for row in rows if lacks_id(row)], keys, ids)
    for row in rows:
        for column, name in row.names.items():
            referred = find_natural_references(row.table, keys)[column]
            if name not in ids[referred]:
                message = f"{column}: no row of {referred.name} with this {keys[referred]} exists"
                raise load_error(row.position, message)
            row.values[column] = ids[referred][name]


def lacks_id(row: FixtureRow) -> bool:
    """Return whether only a natural key identifies the row."""
    return not any(column.name in row.values for column in row.table.primary_key)


def _set_missing_ids(
    connection: Connection, rows: Iterable[FixtureRow], keys: NaturalKeys, ids: Mapping[Table, dict[Any, int]]
) -> None:
    """Set the id of an existing row with the same natural key, or an unused one, which is added to `ids`."""
    unused: dict[Table, Iterator[int]] = {}
    for row in rows:
        table_ids, name = ids[row.table], row.values[keys[row.table]]
        if name not in table_ids:
            if row.table not in unused:
                unused[row.table] = count(_first_unused_id(connection, row.table, table_ids.values()))
            table_ids[name] = next(unused[row.table])
        row.values[_primary(row.table)] = table_ids[name]


def _existing_ids(connection: Connection, rows: Sequence[FixtureRow], keys: NaturalKeys) -> dict[Table, dict[Any, int]]:
    """Return the ids of existing rows by natural key, as far as the rows name them."""
    names: dict[Table, list[Any]] = defaultdict(list)
    for row in rows:
        if row.table in keys:
            names[row.table].append(row.values[keys[row.table]])
        for column, name in row.names.items():
            names[find_natural_references(row.table, keys)[column]].append(name)
    ids: dict[Table, dict[Any, int]] = {table: {} for table in names}
    for table, table_names in names.items():
        key, primary = table.c[keys[table]], table.c[_primary(table)]
        for batch in batches_of([*dict.fromkeys(table_names)], BATCH_ROWS):
            ids[table].update(connection.execute(select(key, primary).where(key.in_(batch))).all())
    return ids


def _first_unused_id(connection: Connection, table: Table, other_ids: Iterable[int]) -> int:
    primary = table.c[_primary(table)]
    last = connection.scalar(select(func.max(primary))) or 0
    if connection.dialect.name == "postgresql":  # rows of running transactions have lower ids than the next one
        name = connection.dialect.identifier_preparer.format_table(table)
        next_id = connection.scalar(select(func.nextval(func.pg_get_serial_sequence(name, primary.name))))
        last = max(last, (next_id or 1) - 1)
    return int(max(last, *other_ids, 0)) + 1


def _primary(table: Table) -> str:
    (column,) = table.primary_key
    return str(column.name)
