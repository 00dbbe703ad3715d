"""Search indexes in a database: full-text tables of SQLite (FTS5), and indexes that models declare and it lacks.

Full-text tables have no copy of the texts, and triggers update them.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, MetaData, text

from opportune.db.migrations.portable_sql import quote_name
from opportune.db.models.indexes import TRIGRAMS_PREFIX, fit_name, index_name, tables_with_search_index
from opportune.db.models.model import ModelBase

TABLE = """CREATE VIRTUAL TABLE {index} USING fts5({columns}, content='{table}', content_rowid='id',
 {options})"""
ADD = "INSERT INTO {index} (rowid, {columns}) VALUES (new.id, {new});"
REMOVE = "INSERT INTO {index} ({index}, rowid, {columns}) VALUES ('delete', old.id, {old});"
TRIGGERS = {
    "_insert": f"CREATE TRIGGER {{index}}_insert AFTER INSERT ON {{owner}} BEGIN {ADD} END",
    "_update": f"CREATE TRIGGER {{index}}_update AFTER UPDATE OF id, {{columns}} ON {{owner}} BEGIN {REMOVE} {ADD} END",
    "_delete": f"CREATE TRIGGER {{index}}_delete AFTER DELETE ON {{owner}} BEGIN {REMOVE} END",
}
EXISTING = {
    "sqlite": "SELECT lower(name) FROM sqlite_master WHERE substr(name, 1, length(:prefix)) = :prefix",
    "postgresql": (
        "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE indisvalid AND starts_with(relname, :prefix) AND pg_table_is_visible(indexrelid)"
    ),
}


def fts5_definitions(index: str, table: str, columns: Sequence[str], options: str) -> dict[str, str]:
    """Return the statements that create the table and its triggers, by the names of these objects."""
    names = [f'"{name}"' for name in columns]
    parts = {
        "index": index,
        "table": table,
        "owner": quote_name(table),
        "columns": ", ".join(names),
        "new": ", ".join(f"new.{name}" for name in names),
        "old": ", ".join(f"old.{name}" for name in names),
        "options": options,
    }
    return {f"{index}{suffix}": template.format(**parts) for suffix, template in {"": TABLE, **TRIGGERS}.items()}


def fill_fts5(index: str) -> str:
    """Return the statement that builds the index from the rows of its table."""
    return f"INSERT INTO {index} ({index}) VALUES ('rebuild')"


def is_own_fts5(prefix: str, name: str, definition: str) -> bool:
    """Return whether an object has the form of `fts5_definitions`. Tables of other programs may contain their texts."""
    if suffix := next((suffix for suffix in TRIGGERS if name.endswith(suffix)), ""):
        return f"INSERT INTO {name.removesuffix(suffix)} (" in definition
    return f"content='{name.removeprefix(prefix)}', content_rowid='id'".lower() in definition.lower()


def find_missing_search_indexes(connection: Connection, metadata: MetaData = ModelBase.metadata) -> list[str]:
    """Return the tables whose search index does not exist in the database."""
    tables = [*tables_with_search_index(metadata)]
    if not tables:
        return []
    dialect = connection.dialect.name
    existing = {*connection.scalars(text(EXISTING[dialect]), {"prefix": TRIGRAMS_PREFIX})}
    required = {table.name: {fit_name(index_name(table.name))} for table in tables}
    if dialect == "sqlite":
        required = {name: {*fts5_definitions(index_name(name), name, (), "")} for name in required}
    return [name for name, objects in required.items() if not objects <= existing]
