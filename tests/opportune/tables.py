"""Creation of tables without migrations. The statements are cached, because hundreds of tests need the same ones."""

from functools import lru_cache
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_mock_engine

from opportune.db.database import Database
from opportune.db.migrations.options import OPTIONS
from opportune.db.models.search_index import indexed_columns, tables_with_search_index


async def make_tables(tables: MetaData, database: Database) -> None:
    """Create the tables, none of which exists, as `create_all` does."""
    async with database.engine.begin() as connection:
        for statement in _statements(tables, tuple(tables.tables.values()), connection.dialect.name):
            await connection.exec_driver_sql(statement)
        await connection.run_sync(create_search_indexes, tables)


def create_search_indexes(connection: Connection, tables: MetaData) -> None:
    """Create the declared search indexes, as their migrations do."""
    operations: Any = Operations(MigrationContext.configure(connection, opts=OPTIONS))
    for table in tables_with_search_index(tables):
        operations.create_search_index(table.name, indexed_columns(table))


@lru_cache
def _statements(tables: MetaData, _cache_key: tuple[Any, ...], dialect: str) -> list[str]:
    statements: list[str] = []

    def record(statement: Any, *_arguments: Any, **_options: Any) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{dialect}://", record)
    tables.create_all(engine, checkfirst=False)
    return statements
