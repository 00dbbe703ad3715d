"""Schema of the site's database for coding agents."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Inspector, inspect

from opportune.config.settings import Settings
from opportune.contrib.agents.read_only import read
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean


async def read_schema(settings: Settings, table: str) -> dict[str, Any]:
    """Return the names of all tables with their columns, or the details of one table.

    Raises:
        OperatorError: The table does not exist, or the database cannot be read.
    """
    with ignore_reflection_warnings():
        return await read(settings, partial(describe_table, table=table) if table else describe_tables)


def describe_tables(connection: Connection) -> dict[str, Any]:
    """Return the columns of each table, without those of search indexes."""
    inspector = inspect(connection)
    columns = inspector.get_multi_columns()
    return {name: [column["name"] for column in columns[None, name]] for name in table_names(inspector)}


def table_names(inspector: Inspector) -> list[str]:
    return [name for name in inspector.get_table_names() if not is_derived(name)]


def describe_table(connection: Connection, table: str) -> dict[str, Any]:
    inspector = inspect(connection)
    names = table_names(inspector)
    if table not in names:
        raise OperatorError(f"There is no table {table}.{did_you_mean(table, names)}")
    return {
        "columns": {column["name"]: column_text(column) for column in inspector.get_columns(table)},
        "primary_key": inspector.get_pk_constraint(table)["constrained_columns"],
        "foreign_keys": foreign_keys(inspector, table),
        "unique": [constraint["column_names"] for constraint in inspector.get_unique_constraints(table)],
        "indexes": {str(index["name"]): index["column_names"] for index in inspector.get_indexes(table)},
    }


def column_text(column: Any) -> str:
    return f"{column['type']}{'' if column['nullable'] else ' NOT NULL'}"


def foreign_keys(inspector: Inspector, table: str) -> dict[str, str]:
    """Return the referenced column, such as `author.id`, by column."""
    return {
        column: f"{key['referred_table']}.{referred}"
        for key in inspector.get_foreign_keys(table)
        for column, referred in zip(key["constrained_columns"], key["referred_columns"], strict=True)
    }
