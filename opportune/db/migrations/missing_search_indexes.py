"""Search indexes that models declare and the database lacks."""

from sqlalchemy import Connection, MetaData, text

from opportune.db.migrations.fts5 import fts5_definitions
from opportune.db.models.indexes import TRIGRAMS_PREFIX, index_name, tables_with_search_index
from opportune.db.models.model import ModelBase

EXISTING = {
    "sqlite": "SELECT name FROM sqlite_master WHERE substr(name, 1, length(:prefix)) = :prefix",
    "postgresql": (
        "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE indisvalid AND starts_with(relname, :prefix) AND pg_table_is_visible(indexrelid)"
    ),
}


def find_missing_search_indexes(connection: Connection, metadata: MetaData = ModelBase.metadata) -> list[str]:
    """Return the tables whose search index does not exist in the database."""
    tables = [*tables_with_search_index(metadata)]
    if not tables:
        return []
    dialect = connection.dialect.name
    existing = {*connection.scalars(text(EXISTING[dialect]), {"prefix": TRIGRAMS_PREFIX})}
    required = {table.name: {index_name(table.name)} for table in tables}
    if dialect == "sqlite":
        required = {name: {*fts5_definitions(index_name(name), name, (), "")} for name in required}
    return [name for name, objects in required.items() if not objects <= existing]
