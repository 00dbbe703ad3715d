"""Load rows from JSON: insert new rows and replace rows with an existing key."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as PydanticField
from pydantic.fields import FieldInfo
from sqlalchemy import Connection, Table
from sqlalchemy.orm import class_mapper
from sqlalchemy.sql.elements import NamedColumn
from sqlmodel import SQLModel

from opportune.contrib.copydb.generated_columns import find_generated_columns, without_columns
from opportune.contrib.copydb.writers import writer_for
from opportune.contrib.dumps.batches import BATCH_ROWS, FixtureRow, error_reason, execute_many, load_error
from opportune.contrib.dumps.names import find_table
from opportune.contrib.dumps.natural_keys import NaturalKeys, find_natural_references, is_natural, natural_keys
from opportune.contrib.dumps.references import lacks_id, set_ids
from opportune.db.queries.batches import batches_of
from opportune.db.queries.upsert import upsert

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
    models_by_table = {model.metadata.tables[str(model.__tablename__)]: model for model in models}
    validation_models = _ValidationModels(models_by_table, generated)
    rows = [_read_row(tables, validation_models, keys, item) for item in objects]
    writer, all_tables = writer_for(connection), list(tables.values())
    writer.advance_sequences(list({row.table for row in rows if lacks_id(row)}))  # which locks them
    set_ids(connection, rows, keys)
    with writer.writable_identities(all_tables), writer.deferred_foreign_keys(all_tables):
        for table, table_rows in groupby(rows, key=lambda row: row.table):
            statement = _upsert(connection, without_columns(table, generated[table]))
            for batch in batches_of([*table_rows], BATCH_ROWS):
                execute_many(connection, statement, [row.values for row in batch], [row.position for row in batch])
    writer.advance_sequences(all_tables)
    return len(rows)


class _ValidationModels(dict[Table, type[BaseModel]]):
    """Validation models by table, created on first use: creating all takes longer than loading a small fixture."""

    def __init__(self, models: Mapping[Table, type[SQLModel]], generated: Mapping[Table, Collection[str]]) -> None:
        self._models = models
        self.generated = generated
        """Columns that the database computes. Values for them are ignored."""

    def __missing__(self, table: Table) -> type[BaseModel]:
        model = self._models[table]
        columns = {attribute.key: attribute.columns[0] for attribute in class_mapper(model).column_attrs}
        fields: dict[str, Any] = {
            name: _as_column(info, columns[name])
            for name, info in model.model_fields.items()
            if columns[name].name not in self.generated[table]
        }
        config = ConfigDict(extra="forbid", strict=True, val_json_bytes="base64")  # table models do not validate
        self[table] = create_model(model.__name__, __config__=config, **fields)
        return self[table]


def _as_column(info: FieldInfo, column: NamedColumn[Any]) -> Any:
    """Return the annotation of a field under the name of its column, which an adopted table chooses."""
    has_zone = getattr(column.type, "timezone", False)
    annotation = WITH_ZONE.get(info.annotation, info.annotation) if has_zone else info.annotation
    return Annotated[annotation, info, PydanticField(alias=column.name)]


def _read_row(
    tables: Mapping[str, Table], validation_models: _ValidationModels, keys: NaturalKeys, item: FixtureObject
) -> FixtureRow:
    """Return the validated row of an object, with a placeholder for each referenced row."""
    try:
        table, values, has_key = _parse_object(tables, keys, item.value)
        values = {name: value for name, value in values.items() if name not in validation_models.generated[table]}
        references = find_natural_references(table, keys)
        names = {name: value[0] for name, value in values.items() if name in references and is_natural(value)}
        values |= dict.fromkeys(names, PLACEHOLDER_ID)
        row = validation_models[table].model_validate_json(json.dumps(values)).model_dump(by_alias=True)
    except (ValidationError, ValueError, LookupError) as error:
        raise load_error(item.position, error_reason(error)) from None
    if not has_key:
        for column in table.primary_key:
            del row[column.name]
    return FixtureRow(item.position, table, row, names)


def _parse_object(tables: Mapping[str, Table], keys: NaturalKeys, value: Any) -> tuple[Table, dict[str, Any], bool]:
    """Return the table of an object, the values of its row, and whether it has a primary key."""
    if not isinstance(value, dict) or value.keys() | {"pk"} != KEYS or not isinstance(value["fields"], dict):
        raise ValueError(WRONG_FORM)
    table, fields = find_table(tables, str(value["model"])), value["fields"]
    if "pk" not in value:
        if fields.get(keys.get(table, "")) is None:
            raise ValueError(WRONG_FORM)
        return table, dict(fields), False
    names = [column.name for column in table.primary_key]
    key_values = value["pk"] if len(names) > 1 else [value["pk"]]
    if not isinstance(key_values, list) or len(key_values) != len(names):
        raise ValueError(f"pk is not a list of {', '.join(names)}")
    if misplaced := fields.keys() & set(names):
        raise ValueError(f"{', '.join(misplaced)} belongs in pk")
    return table, fields | dict(zip(names, key_values, strict=True)), True


def _upsert(connection: Connection, table: Table) -> Any:
    """Return a statement that inserts rows and replaces those with the same primary key."""
    statement, key = upsert(connection, table), [column.name for column in table.primary_key]
    updates = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    if not updates:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=key, set_=updates)
