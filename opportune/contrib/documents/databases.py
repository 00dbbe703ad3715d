"""Selection of the engine and the store of an index, by the database that contains it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from opportune.config.settings import Settings
from opportune.contrib.documents.build import Store
from opportune.contrib.documents.document import IndexDefinition
from opportune.contrib.documents.engine import Engine
from opportune.contrib.documents.postgresql import PostgreSQLEngine, PostgreSQLStore
from opportune.contrib.documents.sqlite import SQLiteEngine, SQLiteStore
from opportune.db.database import Database
from opportune.db.drivers.postgresql import PostgreSQLDatabase
from opportune.db.url.database_url import DatabaseUrl


def engine_for(
    index: IndexDefinition[Any], settings: Settings, database: Database | None = None
) -> Callable[[], Engine]:
    """Return a function that opens the index lazily. `database` is used if it contains the index."""
    url = index.url(settings)
    if url.kind != "postgresql":
        return partial(SQLiteEngine, index, url, settings)
    if database and database.url == url:
        return partial(PostgreSQLEngine, index, database, owns_database=False)
    return lambda: PostgreSQLEngine(index, PostgreSQLDatabase(url, settings), owns_database=True)


def store_of(index: IndexDefinition[Any], url: DatabaseUrl) -> Store:
    return PostgreSQLStore(index, url) if url.kind == "postgresql" else SQLiteStore(index, url)
