"""References by natural key, also to rows that come later: to the row itself, or in a cycle of rows and tables.

Until all rows are written, such a reference has a placeholder. Foreign keys are checked after that.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, update

from opportune.contrib.dumps.batches import Batch, FixtureRow, execute_many, in_batches, load_error
from opportune.contrib.dumps.natural_keys import NaturalKeys, find_ids, find_natural_references

Key = tuple[Hashable, ...]


class References:
    """Replaces the natural keys of referenced rows by their ids."""

    def __init__(self, connection: Connection, keys: NaturalKeys) -> None:
        self.connection = connection
        self.keys = keys
        self._placeholders: dict[tuple[Table, Hashable], int] = {}
        self._late: dict[tuple[Table, Sequence[str]], dict[Key, FixtureRow]] = defaultdict(dict)
        """Rows with placeholders, by table and the columns of its key, then by key."""
        self._held: list[Batch] = []
        """Rows whose primary key refers to later rows, such as those of an association table."""

    def resolve(self, batch: Batch) -> Batch:
        """Return the rows that can be written now, with ids and placeholders of the referenced rows."""
        self._set_ids(batch.table, batch.rows)
        late, primary = self._late[batch.table, batch.key_columns], {column.name for column in batch.table.primary_key}
        held, ready = Batch(batch.table, batch.key_columns), Batch(batch.table, batch.key_columns)
        for row in batch.rows:
            if primary & row.names.keys():
                held.rows.append(row)
                continue
            row.values.update(self._placeholders_of(batch.table, row.names))
            late.pop(key := _key_of(batch, row), None)  # a later object replaces the row
            if row.names:
                late[key] = row
            ready.rows.append(row)
        self._held += [held] if held.rows else []
        return ready

    def held_rows(self) -> Iterator[Batch]:
        """Yield the remaining rows, after all others are written. Raises OperatorError for a missing row."""
        for batch in self._held:
            self._set_ids(batch.table, batch.rows)
            for row in batch.rows:
                self._refuse_missing(batch.table, row)
            yield batch

    def replace_placeholders(self) -> None:
        """Write the ids of rows that came later. Raises OperatorError for a missing row."""
        for (table, key_columns), rows in self._late.items():
            for batch in in_batches(list(rows.values())):
                columns = {id(row): list(row.names) for row in batch}
                self._set_ids(table, batch)
                for row in batch:
                    self._refuse_missing(table, row)
                for column in find_natural_references(table, self.keys):
                    changed = [row for row in batch if column in columns[id(row)]]
                    self._update(table, key_columns, column, changed)

    def _set_ids(self, table: Table, rows: Sequence[FixtureRow]) -> None:
        """Replace the natural keys of existing rows. The others stay in `names`."""
        for column, referred in find_natural_references(table, self.keys).items():
            names = list({row.names[column] for row in rows if column in row.names})
            ids = find_ids(self.connection, referred, self.keys[referred], names) if names else {}
            for row in rows:
                if row.names.get(column) in ids:
                    row.values[column] = ids[row.names.pop(column)]

    def _placeholders_of(self, table: Table, names: Mapping[str, Any]) -> dict[str, int]:
        """Return a negative id for each name. Different names have different ids, for unique columns."""
        references = find_natural_references(table, self.keys)
        keys = {column: (references[column], name) for column, name in names.items()}
        return {
            column: self._placeholders.setdefault(key, -1 - len(self._placeholders)) for column, key in keys.items()
        }

    def _refuse_missing(self, table: Table, row: FixtureRow) -> None:
        for column in row.names:
            referred = find_natural_references(table, self.keys)[column]
            raise load_error(
                row.position, f"{column}: no row of {referred.name} with this {self.keys[referred]} exists"
            )

    def _update(self, table: Table, key_columns: Sequence[str], column: str, rows: Sequence[FixtureRow]) -> None:
        parameters = {f"late_{number}": name for number, name in enumerate([column, *key_columns])}
        is_row = [table.c[name] == bindparam(parameter) for parameter, name in list(parameters.items())[1:]]
        statement = update(table).where(*is_row).values({column: bindparam("late_0")})
        values = [{parameter: row.values[name] for parameter, name in parameters.items()} for row in rows]
        if rows:
            execute_many(self.connection, statement, values, [row.position for row in rows])


def _key_of(batch: Batch, row: FixtureRow) -> Key:
    return tuple(row.values[name] for name in batch.key_columns)
