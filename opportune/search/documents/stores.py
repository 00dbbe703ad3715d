"""Choice of the store of an index by its database."""

from typing import Any

from opportune.db.url.database_url import DatabaseURL
from opportune.search.documents.definition import IndexDefinition
from opportune.search.documents.postgresql_store import PostgreSQLStore
from opportune.search.documents.sqlite_store import SQLiteStore
from opportune.search.documents.store import Store


def store_of(index: IndexDefinition[Any], url: DatabaseURL) -> Store:
    if url.kind == "postgresql":
        return PostgreSQLStore(index, url)
    return SQLiteStore(index, url)
