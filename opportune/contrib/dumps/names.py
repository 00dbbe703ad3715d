"""Names in dumps: of tables, such as `books.book` for `books_book`, and natural keys of rows.

Dumps can refer to rows by a unique text instead of their id: `"author_id": ["Sigrid Undset"]`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import MetaData, Table
from sqlmodel import SQLModel

from opportune.contrib.copydb.tables import sort_tables
from opportune.db.migrations.ownership import owners_of_models
from opportune.db.models.columns import is_unique, natural_key_of
from opportune.errors import OperatorError
from opportune.errors.suggestions import closest_name, did_you_mean
from opportune.project.layout import USER_TABLE, USERS

NaturalKeys = Mapping[Table, str]
"""Column with the natural key, by table."""


def tables_by_name(metadata: MetaData, features: Sequence[str]) -> dict[str, Table]:
    """Return all tables by name, sorted by their foreign keys."""
    owners = _owners(metadata, features)
    tables = {}
    for table in sort_tables(metadata):
        name = table.name
        if owner := owners.get(table.name):
            short_name = table.name.removeprefix(f"{owner}_")
            is_ambiguous = short_name != table.name and owners.get(short_name) == owner
            name = f"{owner}.{table.name}" if is_ambiguous else f"{owner}.{short_name}"
        tables[name] = table
    return tables


def select_tables(tables: Mapping[str, Table], requested: Sequence[str], features: Sequence[str]) -> dict[str, Table]:
    """Return the tables with these names and those of features with these names; by default all."""
    for name in requested:
        if name not in tables and name not in features:
            suggestion = did_you_mean(name, [*features, *tables])
            raise OperatorError(f"No feature or table '{name}' is installed.{suggestion}")
    if not requested:
        return dict(tables)
    return {name: table for name, table in tables.items() if not _names_of(name, table).isdisjoint(requested)}


def _owners(metadata: MetaData, features: Sequence[str]) -> dict[str, str]:
    """Return the features by table. The table of users belongs to the feature in its name."""
    owners = owners_of_models(metadata, features)
    if USER_TABLE in owners:
        owners = {**owners, USER_TABLE: USER_TABLE.partition("_")[0]}
    return owners


def _names_of(name: str, table: Table) -> set[str]:
    """Return the names that select a table: its name in dumps, and the name of its feature."""
    names = {name, name.partition(".")[0]}
    return names | {USERS} if table.name == USER_TABLE else names


def find_table(tables: Mapping[str, Table], name: str) -> Table:
    """Return a table by its name in dumps or in the database.

    Raises:
        LookupError: There is no such table. The message names a similar one.
    """
    if name in tables:
        return tables[name]
    for table in tables.values():
        if table.name == name:
            return table
    suggestion = closest_name(name, tables)
    raise LookupError(f"no table '{name}' is installed" + (f", but {suggestion} is" if suggestion else ""))


def natural_keys(models: Sequence[type[SQLModel]]) -> dict[Table, str]:
    """Return the natural keys that the database keeps unique, of models whose ids are numbers of the database."""
    keys: dict[Table, str] = {}
    for model in models:
        table = model.metadata.tables[str(model.__tablename__)]
        key = natural_key_of(model)
        if not key or table.c[key].computed is not None:  # dumps leave out generated columns
            continue
        # Other ids, such as UUIDs or those of a referenced row, are the same in each database.
        if table.autoincrement_column is not None and is_unique(table.c[key]):
            keys[table] = key
    return keys


def find_natural_references(table: Table, keys: NaturalKeys) -> dict[str, Table]:
    """Return the tables with a natural key that a table refers to, by the column of the foreign key."""
    return {
        column.name: key.column.table
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table in keys and key.column.primary_key
    }


def is_natural(value: Any) -> bool:
    """Return whether a value is a natural key, such as `["Sigrid Undset"]`, and not an id."""
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | int)
