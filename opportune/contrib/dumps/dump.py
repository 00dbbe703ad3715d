"""Dump rows to JSON in batches."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Column, Connection, FromClause, RowMapping, Select, Table, select
from sqlalchemy.dialects.postgresql.ranges import MultiRange, Range

from opportune.contrib.copydb.tables import find_generated_columns
from opportune.contrib.dumps.names import NaturalKeys, find_natural_references
from opportune.db.models.translated import TranslatedText, texts_of

BATCH_ROWS = 500
NATURAL_PREFIX = "natural key of "
"""Prefix of the column with the natural key of a referenced row."""


def dump(
    connection: Connection, tables: Mapping[str, Table], indent: int | None = None, keys: NaturalKeys | None = None
) -> Iterator[bytes]:
    """Yield the parts of a JSON list with one object per row.

    Args:
        tables: Tables by the name of their model in the JSON.
        keys: Natural keys to use instead of primary keys.
    """
    keys = keys or {}
    yield b"["
    separator = b"\n"
    omitted = find_generated_columns(connection, tables.values())
    for name, table in tables.items():
        statement = _select_rows(table, keys, omitted[table])
        for row in connection.execute(statement, execution_options={"yield_per": BATCH_ROWS}).mappings():
            item = as_object(name, table, row, keys, omitted[table])
            yield separator + to_json(item, indent=indent, bytes_mode="base64")
            separator = b",\n"
    yield b"\n]\n"


def _select_rows(table: Table, keys: NaturalKeys, omitted: Collection[str]) -> Select[Any]:
    """Select the columns of a table, and the natural keys of the rows that they refer to."""
    columns: list[Any] = [column for column in table.columns if column.name not in omitted]
    joined: FromClause = table
    for column, referred in find_natural_references(table, keys).items():
        alias = referred.alias()
        (foreign_key,) = table.c[column].foreign_keys
        joined = joined.outerjoin(alias, table.c[column] == alias.c[foreign_key.column.name])
        columns.append(alias.c[keys[referred]].label(f"{NATURAL_PREFIX}{column}"))
    return select(*columns).select_from(joined).order_by(*table.primary_key)


def as_object(model: str, table: Table, row: RowMapping, keys: NaturalKeys, omitted: Collection[str]) -> dict[str, Any]:
    """Return a row in Django's format. Composite keys and natural keys are lists."""
    values = {column.name: _json_value(column, row) for column in table.columns if column.name not in omitted}
    key = [values[column.name] for column in table.primary_key]
    fields = {name: value for name, value in values.items() if not table.columns[name].primary_key}
    natural_key = keys.get(table)
    if natural_key and row[natural_key] is not None:
        return {"model": model, "fields": fields}
    return {"model": model, "pk": key[0] if len(key) == 1 else key, "fields": fields}


def _json_value(column: Column[Any], row: RowMapping) -> Any:
    natural = row.get(f"{NATURAL_PREFIX}{column.name}")
    value = row[column.name] if natural is None else [natural]
    match value:
        case datetime() if value.tzinfo is None and getattr(column.type, "timezone", False):
            return value.replace(tzinfo=UTC)  # SQLite's own type of columns that a model declares with `sa_column`
        case TranslatedText():
            return texts_of(value)
        case Range():
            return str(value)
        case MultiRange():
            ranges = ",".join(map(str, value))
            return f"{{{ranges}}}"
        case _:
            return value
