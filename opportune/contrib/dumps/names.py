"""Names of tables in fixtures: `books.book` for `books_book`."""

from collections.abc import Mapping, Sequence

from sqlalchemy import MetaData, Table

from opportune.contrib.copydb.checks import sort_tables
from opportune.db.migrations.ownership import owners_of_models
from opportune.errors import OperatorError
from opportune.errors.suggestions import closest_name, did_you_mean
from opportune.project.layout import USER_TABLE, USERS


def tables_by_name(metadata: MetaData, features: Sequence[str]) -> dict[str, Table]:
    """Return all tables by name, sorted by their foreign keys."""
    owners = _owners(metadata, features)
    tables = {}
    for table in sort_tables(metadata):
        name = table.name
        if owner := owners.get(table.name):
            short_name = table.name.removeprefix(f"{owner}_")
            is_ambiguous = short_name != table.name and owners.get(short_name) == owner
            name = f"{owner}.{table.name if is_ambiguous else short_name}"
        tables[name] = table
    return tables


def select_tables(tables: Mapping[str, Table], requested: Sequence[str], features: Sequence[str]) -> dict[str, Table]:
    """Return the tables of these features and tables, or all. Raises OperatorError for an unknown name."""
    for name in requested:
        if name not in tables and name not in features:
            suggestion = did_you_mean(name, [*features, *tables])
            raise OperatorError(f"No feature or table '{name}' is installed.{suggestion}")
    if not requested:
        return dict(tables)
    return {name: table for name, table in tables.items() if not _names_of(name, table).isdisjoint(requested)}


def _owners(metadata: MetaData, features: Sequence[str]) -> dict[str, str]:
    """Return the features in names of tables. The table of users keeps the one in its name."""
    owners = owners_of_models(metadata, features)
    if USER_TABLE in owners:
        owners = {**owners, USER_TABLE: USER_TABLE.partition("_")[0]}
    return owners


def _names_of(name: str, table: Table) -> set[str]:
    """Return the names that select a table: its own, and that of its feature."""
    names = {name, name.partition(".")[0]}
    return names | {USERS} if table.name == USER_TABLE else names


def find_table(tables: Mapping[str, Table], name: str) -> Table:
    """Return the table, also by its name in the database. Raises LookupError if it is not installed."""
    if name in tables:
        return tables[name]
    for table in tables.values():
        if table.name == name:
            return table
    suggestion = closest_name(name, tables)
    raise LookupError(f"no table '{name}' is installed" + (f", but {suggestion} is" if suggestion else ""))
