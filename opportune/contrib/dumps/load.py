"""Load rows from JSON: insert new rows and replace rows with an existing key.

Natural keys also identify rows that come later or refer to each other.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, groupby
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as PydanticField
from pydantic.fields import FieldInfo
from sqlalchemy import Connection, Executable, Table, func, select
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.orm import class_mapper
from sqlalchemy.sql.elements import NamedColumn
from sqlmodel import SQLModel

from opportune.contrib.copydb.tables import find_generated_columns, without_columns
from opportune.contrib.copydb.writers import writer_for
from opportune.contrib.dumps.names import find_natural_references, find_table, is_natural, natural_keys
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import upsert
from opportune.errors import OperatorError

BATCH_ROWS = 200

KEYS = {"model", "pk", "fields"}
WRONG_FORM = 'does not have the form {"model": …, "pk": …, "fields": {…}}'
PLACEHOLDER_ID = 1
"""Id of a referenced row during validation."""
WITH_ZONE: dict[Any, Any] = {datetime: AwareDatetime, datetime | None: AwareDatetime | None}
"""Types with a time zone, which SQLModel only enforces when it writes a row."""


@dataclass(frozen=True)
class FixtureObject:
    """Object of a fixture."""

    position: str
    """Position for messages, such as `file.json, object 3`."""
    value: Any


@dataclass(frozen=True)
class FixtureRow:
    """Validated row of a fixture."""

    position: str
    """Position for messages, such as `file.json, object 3`."""
    table: Table
    values: dict[str, Any]
    names: dict[str, Any]
    """Natural keys of referenced rows, by column."""

    @property
    def lacks_id(self) -> bool:
        """Whether only a natural key identifies the row."""
        return not any(column.name in self.values for column in self.table.primary_key)


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
    fixtures = _Fixtures(connection, tables, models)
    rows = [fixtures.read_row(item) for item in objects]
    writer, all_tables = writer_for(connection), list(tables.values())
    writer.advance_sequences(list({row.table for row in rows if row.lacks_id}))  # which locks them
    fixtures.set_ids(rows)
    with writer.writable_identities(all_tables), writer.deferred_foreign_keys(all_tables):
        for table, table_rows in groupby(rows, key=lambda row: row.table):
            statement = _upsert(connection, without_columns(table, fixtures.generated[table]))
            for batch in batches_of([*table_rows], BATCH_ROWS):
                _execute_many(connection, statement, batch)
    writer.advance_sequences(all_tables)
    return len(rows)


class _Fixtures:
    """Reader of objects, which finds the ids of rows with natural keys in a database."""

    def __init__(self, connection: Connection, tables: Mapping[str, Table], models: Sequence[type[SQLModel]]) -> None:
        self.generated = find_generated_columns(connection, tables.values())
        """Columns that the database computes. Values for them are ignored."""
        self._connection = connection
        self._tables = tables
        self._keys = natural_keys(models)
        self._references = {table: find_natural_references(table, self._keys) for table in tables.values()}
        self._models = {model.metadata.tables[str(model.__tablename__)]: model for model in models}
        self._validation_models: dict[Table, type[BaseModel]] = {}

    def read_row(self, item: FixtureObject) -> FixtureRow:
        """Return the validated row of an object, with a placeholder for each referenced row."""
        try:
            table, values, has_key = self._parse_object(item.value)
            values = {name: value for name, value in values.items() if name not in self.generated[table]}
            references = self._references[table]
            names = {name: value[0] for name, value in values.items() if name in references and is_natural(value)}
            values |= dict.fromkeys(names, PLACEHOLDER_ID)
            row = self._validation_model(table).model_validate_json(json.dumps(values)).model_dump(by_alias=True)
        except (ValidationError, ValueError, LookupError) as error:
            raise _load_error(item.position, _error_reason(error)) from None
        if not has_key:
            for column in table.primary_key:
                del row[column.name]
        return FixtureRow(item.position, table, row, names)

    def _parse_object(self, value: Any) -> tuple[Table, dict[str, Any], bool]:
        """Return the table of an object, the values of its row, and whether it has a primary key."""
        if not isinstance(value, dict) or value.keys() | {"pk"} != KEYS or not isinstance(value["fields"], dict):
            raise ValueError(WRONG_FORM)
        table, fields = find_table(self._tables, str(value["model"])), value["fields"]
        if "pk" not in value:
            if fields.get(self._keys.get(table, "")) is None:
                raise ValueError(WRONG_FORM)
            return table, dict(fields), False
        names = [column.name for column in table.primary_key]
        key_values = value["pk"] if len(names) > 1 else [value["pk"]]
        if not isinstance(key_values, list) or len(key_values) != len(names):
            raise ValueError(f"pk is not a list of {', '.join(names)}")
        if misplaced := fields.keys() & set(names):
            raise ValueError(f"{', '.join(misplaced)} belongs in pk")
        return table, fields | dict(zip(names, key_values, strict=True)), True

    def _validation_model(self, table: Table) -> type[BaseModel]:
        """Return the model, created on first use: creating all takes longer than loading a small fixture."""
        if table not in self._validation_models:
            model = self._models[table]
            columns = {attribute.key: attribute.columns[0] for attribute in class_mapper(model).column_attrs}
            fields: dict[str, Any] = {
                name: _as_column(info, columns[name])
                for name, info in model.model_fields.items()
                if columns[name].name not in self.generated[table]
            }
            config = ConfigDict(extra="forbid", strict=True, val_json_bytes="base64")  # table models do not validate
            self._validation_models[table] = create_model(model.__name__, __config__=config, **fields)
        return self._validation_models[table]

    def set_ids(self, rows: Sequence[FixtureRow]) -> None:
        """Set the ids of rows without one, and those of referenced rows. New rows get unused ids.

        The caller has locked the sequences of the tables, so that no other transaction gets the same ids.

        Raises:
            OperatorError: A referenced row does not exist.
        """
        ids = self._existing_ids(rows)
        for row in rows:
            explicit_id = row.values.get(_primary(row.table)) if row.table in self._keys else None
            if explicit_id is not None:
                ids[row.table][self._natural_key(row)] = explicit_id
        self._set_missing_ids([row for row in rows if row.lacks_id], ids)
        for row in rows:
            for column, name in row.names.items():
                referred = self._references[row.table][column]
                if name not in ids[referred]:
                    message = f"{column}: no row of {referred.name} with this {self._keys[referred]} exists"
                    raise _load_error(row.position, message)
                row.values[column] = ids[referred][name]

    def _natural_key(self, row: FixtureRow) -> Any:
        return row.values[self._keys[row.table]]

    def _existing_ids(self, rows: Iterable[FixtureRow]) -> dict[Table, dict[Any, int]]:
        """Return the ids of existing rows by natural key, as far as the rows name them."""
        names: dict[Table, list[Any]] = defaultdict(list)
        for row in rows:
            if row.table in self._keys:
                names[row.table].append(self._natural_key(row))
            for column, name in row.names.items():
                names[self._references[row.table][column]].append(name)
        ids: dict[Table, dict[Any, int]] = {table: {} for table in names}
        for table, table_names in names.items():
            key, primary = table.c[self._keys[table]], table.c[_primary(table)]
            for batch in batches_of([*dict.fromkeys(table_names)], BATCH_ROWS):
                ids[table].update(self._connection.execute(select(key, primary).where(key.in_(batch))).all())
        return ids

    def _set_missing_ids(self, rows: Iterable[FixtureRow], ids: Mapping[Table, dict[Any, int]]) -> None:
        """Set the id of an existing row with the same natural key, or an unused one, which is added to `ids`."""
        unused: dict[Table, Iterator[int]] = {}
        for row in rows:
            table_ids, name = ids[row.table], self._natural_key(row)
            if name not in table_ids:
                if row.table not in unused:
                    unused[row.table] = count(self._first_unused_id(row.table, table_ids.values()))
                table_ids[name] = next(unused[row.table])
            row.values[_primary(row.table)] = table_ids[name]

    def _first_unused_id(self, table: Table, other_ids: Iterable[int]) -> int:
        primary, connection = table.c[_primary(table)], self._connection
        last = connection.scalar(select(func.max(primary))) or 0
        if connection.dialect.name == "postgresql":  # rows of running transactions have lower ids than the next one
            name = connection.dialect.identifier_preparer.format_table(table)
            next_id = connection.scalar(select(func.nextval(func.pg_get_serial_sequence(name, primary.name))))
            last = max(last, (next_id or 1) - 1)
        return int(max(last, *other_ids, 0)) + 1


def _as_column(info: FieldInfo, column: NamedColumn[Any]) -> Any:
    """Return the annotation of a field under the name of its column, which an adopted table chooses."""
    has_zone = getattr(column.type, "timezone", False)
    annotation = WITH_ZONE.get(info.annotation, info.annotation) if has_zone else info.annotation
    return Annotated[annotation, info, PydanticField(alias=column.name)]


def _primary(table: Table) -> str:
    (column,) = table.primary_key
    return str(column.name)


def _upsert(connection: Connection, table: Table) -> Any:
    """Return a statement that inserts rows and replaces those with the same primary key."""
    statement, key = upsert(connection, table), [column.name for column in table.primary_key]
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
                raise _load_error(row.position, _error_reason(error)) from error


def _load_error(position: str, reason: str) -> OperatorError:
    return OperatorError(f"{position}: {reason}. Nothing was loaded.")


def _error_reason(error: Exception) -> str:
    """Return the first line, which contains no values."""
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_input=False)[0]
        return ": ".join(filter(None, (".".join(map(str, details["loc"])), details["msg"])))
    message = str(error.orig if isinstance(error, StatementError) else error.args[0])
    return message.splitlines()[0].removesuffix(".")
