"""Search indexes of all models, which `migrate` creates and updates."""

from collections.abc import Mapping

from sqlalchemy import Connection, Inspector, inspect

from opportune.search.indexes import Dialect, Fields
from opportune.search.postgresql import PostgreSQL, PostgreSQLVectors
from opportune.search.sqlite import SQLite, SQLiteVectors
from opportune.search.vectors import EDITIONS, Vectors

DIALECTS: Mapping[str, Dialect] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}
VECTORS: Mapping[str, Vectors] = {"sqlite": SQLiteVectors(), "postgresql": PostgreSQLVectors()}
registered: dict[str, Fields] = {}
"""Searched fields by table."""
vector_tables: dict[str, Fields] = {}
"""Fields of document indexes by table. They have vectors only."""


def due_statements(connection: Connection) -> list[str]:
    """Return the statements that update the indexes of all searchable models."""
    inspector = inspect(connection)
    searchable = [fields for fields in registered.values() if _has_columns(inspector, fields)]
    statements = DIALECTS[connection.dialect.name].due_statements(connection, searchable)
    tables = inspector.get_table_names()
    if EDITIONS in tables:
        required = [*searchable, *vector_tables.values()]
        statements += VECTORS[connection.dialect.name].due_statements(connection, required, tables)
    return statements


def _has_columns(inspector: Inspector, fields: Fields) -> bool:
    if not inspector.has_table(fields.table):
        return False
    return fields.weights.keys() <= {column["name"] for column in inspector.get_columns(fields.table)}
